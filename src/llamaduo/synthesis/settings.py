"""How many pairs are synthesized, and how."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class SynthesisSettings(BaseModel):
    """The ``synthesis`` section (Section 3.5, Eq. 8 and 9)."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    pairs: int = Field(128, ge=1, description="Pairs asked for after cycle 0.")
    growth: float = Field(
        2.0, ge=1, le=10, description="Each later batch is this many times larger."
    )
    pairs_per_request: int = Field(5, ge=1, le=50)
    seeds_per_request: int = Field(1, ge=1, le=10)
    temperature: float | None = Field(None, ge=0, le=2)
    max_failed: float = Field(
        0.02,
        ge=0,
        le=1,
        description="The stage fails above this share of requests that were set aside: refused,"
        " or without one pair after five attempts.",
    )
    seed: int = Field(0, ge=0, lt=2**32)
