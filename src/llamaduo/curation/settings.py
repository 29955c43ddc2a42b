"""What curation drops."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class CurationSettings(BaseModel):
    """The ``curation`` section: the thresholds of ψ (Eq. 7)."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    min_response_words: int = Field(1, ge=1, description="Drop shorter responses.")
    max_response_words: int = Field(2048, ge=1, description="Drop longer responses.")
    near_duplicate: float = Field(0.7, gt=0, le=1, description="Jaccard of word 3-grams.")
    novelty: float = Field(0.7, gt=0, le=1, description="ROUGE-L F against what is kept already.")
    novelty_field: Literal["instruction", "response", "both"] = Field(
        "instruction", description="What novelty compares; responses count from 30 words on."
    )
    stemming: bool = Field(
        False, description="Novelty compares stems (Porter, English); needs llamaduo[stemming]."
    )
    contamination: float = Field(
        0.7, gt=0, le=1, description="ROUGE-L F, or recall of the instruction, against held-out."
    )
    contamination_ngram: int = Field(
        8, ge=2, description="Runs of this many shared words count as copied."
    )
    shared_frame: float = Field(
        0.05, gt=0, le=1, description="What more of the train prompts than this share is a frame."
    )
    languages: bool = Field(
        False,
        description="Drop pairs in a language that no train pair uses; needs llamaduo[languages].",
    )
    max_per_family: int | None = Field(
        None, ge=1, description="At most this many pairs of one template family in a batch."
    )
    max_per_label: int | None = Field(
        None, ge=1, description="At most this many pairs with one label in a batch."
    )

    @model_validator(mode="after")
    def _some_length_is_allowed(self) -> CurationSettings:
        least, most = self.min_response_words, self.max_response_words
        if least > most:
            raise ValueError(
                f"min_response_words ({least}) is above max_response_words ({most}), so that every"
                " pair would be dropped; lower the one or raise the other"
            )
        return self
