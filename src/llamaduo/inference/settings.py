"""How the local LLM answers."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class InferenceSettings(BaseModel):
    """The ``inference`` section. ``responses_per_prompt`` is the paper's K (Section 3.3)."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    responses_per_prompt: int = Field(4, ge=1)
    temperature: float = Field(0.7, ge=0, le=2, description="0 is greedy.")
    top_p: float = Field(0.95, gt=0, le=1)
    max_new_tokens: int | None = Field(
        None,
        ge=1,
        description="Left out: half as long again as the longest reference in the train split.",
    )
    batch_size: int = Field(8, ge=1, description="Prompts in one batch.")
    seed: int = Field(0, ge=0, lt=2**32)
