"""The user's own numbers, for what the local LLM saves (Section 4.5)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class CostSettings(BaseModel):
    """The ``cost`` section. Nothing is assumed about traffic that was not stated."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    input_tokens_per_month: int | None = Field(
        None,
        ge=0,
        description="What the application sends to the service LLM.",
        examples=[50_000_000],
    )
    output_tokens_per_month: int | None = Field(
        None, ge=0, description="What the service LLM answers.", examples=[5_000_000]
    )
    hardware_usd: float = Field(0.0, ge=0, description="Bought once, all servers together.")
    servers: int = Field(1, ge=1, description="Each runs one copy of the local LLM.")
    power_usd_per_month: float = Field(
        0.0, ge=0, description="Power, or rent, of one server for a month."
    )
    tuning_usd: float = Field(
        0.0, ge=0, description="GPU time for fine-tuning, if it was paid for."
    )
