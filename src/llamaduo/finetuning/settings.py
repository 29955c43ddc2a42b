"""Which local LLM, and how it is fine-tuned."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class LocalSettings(BaseModel):
    """The ``local`` section: the small model that is to take over the task."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    model: str = Field(
        "smollm2-135m-instruct",
        description="The embedded model, a folder with safetensors, or a Hub name.",
    )
    revision: str | None = Field(None, description="A Hub revision; pin it.")


class FinetuningSettings(BaseModel):
    """The ``finetuning`` section. Rank, alpha and window as in Table 5."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    start_from: Literal["previous", "base"] = Field(
        "previous", description="Eq. 1 continues the last checkpoint; the experiments the base."
    )
    epochs: float = Field(3.0, gt=0)
    learning_rate: float = Field(1e-3, gt=0)
    batch_size: int = Field(4, ge=1, description="Pairs in one optimizer step.")
    lora_rank: int = Field(8, ge=1)
    lora_alpha: int = Field(16, ge=1)
    lora_dropout: float = Field(0.0, ge=0, lt=1)
    max_tokens: int = Field(
        1024, ge=16, description="Longer pairs are set aside and counted, never cut."
    )
    seed: int = Field(0, ge=0, lt=2**32)
