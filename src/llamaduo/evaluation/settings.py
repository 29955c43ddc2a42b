"""Who judges, how often, and what must be reached."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from llamaduo.records import Metric
from llamaduo.service.settings import ServiceSettings

Threshold = Annotated[int, Field(ge=0, le=100)]
"""ζ: a score that a response reaches or does not."""
Percentage = Annotated[float, Field(ge=0, le=100)]


class JudgingSettings(BaseModel):
    """The ``judging`` section. ``judgements_per_response`` is the paper's M (Section 3.4)."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    judges: tuple[ServiceSettings, ...] = Field(
        (), description="Left out: the service LLM itself judges."
    )
    judgements_per_response: int = Field(2, ge=1)
    score_thresholds: tuple[Threshold, ...] = Field(
        (50, 70), description="ζ: the paper's 50 and 70."
    )
    temperature: float | None = Field(None, ge=0, le=2)
    max_unscored: float = Field(
        0.02, ge=0, le=1, description="The stage fails above this share of unscored judgements."
    )

    @field_validator("score_thresholds")
    @classmethod
    def _each_once(cls, thresholds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(thresholds)) < len(thresholds):
            raise ValueError("a threshold is listed twice; list each ζ once")
        return thresholds


class MetricTarget(BaseModel):
    """ε for one metric: a mean score, and coverage percentages by ζ, each 0 to 100."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    mean_score: Percentage | None = None
    coverage_percentage: dict[Threshold, Percentage] = Field(
        default_factory=dict, description="{ζ: percentage}, as in {70: 90}."
    )


class TargetSettings(BaseModel):
    """The ``target`` section: ε. A run passes when every one of these is met (Eq. 9)."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    precision: MetricTarget = MetricTarget()
    similarity: MetricTarget = MetricTarget()

    def of(self, metric: Metric) -> MetricTarget:
        return self.precision if metric == "precision" else self.similarity

    @model_validator(mode="after")
    def _asks_for_something(self) -> TargetSettings:
        if all(
            t.mean_score is None and not t.coverage_percentage
            for t in (self.precision, self.similarity)
        ):
            raise ValueError("no target is set; give a mean_score or a coverage_percentage")
        return self


class LimitSettings(BaseModel):
    """The ``limits`` section: when the loop stops without having met the target."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    cycles: int = Field(4, ge=1, description="Fine-tunes at most.")
    patience: int = Field(2, ge=1, description="Cycles without min_gain before the loop stops.")
    min_gain: float = Field(1.0, ge=0, description="Points that count as an improvement.")
    budget_usd: float | None = Field(None, ge=0, description="The run never spends more.")
    confirm_above_usd: float = Field(
        1.0, ge=0, description="A run that may cost more than this asks before it starts."
    )
