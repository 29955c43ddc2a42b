"""Where the coverage data is and how it is split."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from llamaduo.records import ReferenceSource


class CoverageSettings(BaseModel):
    """The ``coverage`` section. ``train_fraction`` is the paper's Φ (Section 3.1)."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    data: tuple[str, ...] = Field(
        description="Files, folders of the datasets library, or Hub names (hf:OWNER/NAME).",
        min_length=1,
        examples=[["pairs.jsonl"]],
    )
    reference_source: ReferenceSource = Field(
        "service", description="Who wrote the responses, where a row does not say it itself."
    )
    group_key: str | None = Field(
        None, description="A field whose equal values stay in one split (conversation, customer)."
    )
    train_fraction: float = Field(0.8, gt=0, lt=1, description="Share of pairs to train on (Φ).")
    final_fraction: float = Field(
        0.0, ge=0, lt=1, description="Share that is judged once, after the loop. 0.1 is advisable."
    )
    near_duplicate: float = Field(
        0.7, gt=0, le=1, description="Prompts this similar (Jaccard) stay in one split."
    )
    seed: int = Field(0, ge=0, lt=2**32)

    @field_validator("data", mode="before")
    @classmethod
    def _one_is_enough(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _leaves_a_test_split(self) -> CoverageSettings:
        if self.train_fraction + self.final_fraction >= 1:
            raise ValueError(
                "train_fraction and final_fraction leave nothing for the test split;"
                " together they must stay below 1"
            )
        return self
