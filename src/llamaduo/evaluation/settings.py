"""Who judges, how often, and what must be reached."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from llamaduo.evaluation.human import NO_METRICS
from llamaduo.records import METRICS, PANEL, Metric
from llamaduo.service.settings import ServiceSettings
from llamaduo.tasks.metrics import FREE_METRICS

Threshold = Annotated[int, Field(ge=0, le=100)]
"""ζ: a score that a response reaches or does not."""
Percentage = Annotated[float, Field(ge=0, le=100)]
MetricName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Rubric = Annotated[str, Field(min_length=10, max_length=2000)]


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
    metrics: dict[MetricName, Rubric] = Field(
        default_factory=dict,
        description="More metrics than similarity and precision: a name, and what earns how much.",
        examples=[{"tone": "100 is friendly and plain, 50 correct but stiff, 0 rude."}],
    )
    aggregate: Literal["mean", "median"] = Field(
        "mean", description="How repeats, and then judges, make one score of a response."
    )
    stopping: Literal["fixed", "adaptive"] = Field(
        "fixed", description="adaptive: judge in rounds, and stop once the answer is clear."
    )
    service_responses: int = Field(
        1,
        ge=0,
        description="Answers of the service LLM to each held-out prompt, judged beside the local"
        " LLM's as the ceiling. 0: none.",
    )
    pairwise: bool = Field(
        False, description="Also compare local and service responses, in both orders."
    )
    controls: int = Field(
        4,
        ge=0,
        description="Right and wrong responses, so many each, that every judge must tell apart"
        " before a set is judged. 0: none.",
    )
    max_characters: int = Field(
        24_000, ge=200, description="Of a longer text judges see the beginning and the end."
    )
    human_scores: str | None = Field(
        None,
        description="JSON Lines of a person's scores, to compare the judges with;"
        " `llamaduo judges --sheet` writes lines to fill in.",
        examples=["human.jsonl"],
    )
    temperature: float | None = Field(None, ge=0, le=2)
    max_unscored: float = Field(
        0.02, ge=0, le=1, description="The stage fails above this share of unscored judgements."
    )

    @property
    def all_metrics(self) -> tuple[Metric, ...]:
        """What every judgement has a mark for: the paper's two, then the configured ones."""
        return (*METRICS, *self.metrics)

    @field_validator("metrics")
    @classmethod
    def _new_names(cls, metrics: dict[str, str]) -> dict[str, str]:
        if taken := sorted(set(metrics) & {*METRICS, *FREE_METRICS, PANEL}):
            raise ValueError(f"{', '.join(taken)} is measured already; choose another name")
        if taken := sorted(set(metrics) & {*NO_METRICS}):
            raise ValueError(
                f"{', '.join(taken)} is something else in human_scores; choose another name"
            )
        return metrics

    @model_validator(mode="after")
    def _has_a_rival(self) -> JudgingSettings:
        if self.pairwise and not self.service_responses:
            raise ValueError(
                "pairwise compares with the service LLM's own answers; set service_responses to 1"
            )
        return self

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
    metrics: dict[str, MetricTarget] = Field(
        default_factory=dict, description="The same for each of judging.metrics."
    )
    free: dict[str, Percentage] = Field(
        default_factory=dict,
        description=f"For metrics that cost nothing: {', '.join(FREE_METRICS)}.",
        examples=[{"label_accuracy": 95}],
    )
    win_rate: Percentage | None = Field(
        None, description="Against the service LLM, a tie as half a win; needs judging.pairwise."
    )
    not_worse_than_service_by: Percentage | None = Field(
        None,
        description="Points of mean precision on the final split that the local LLM may be behind"
        " the service LLM, at the far end of the interval.",
    )
    evidence: Literal["point", "interval"] = Field(
        "point",
        description="interval: a target is met when its whole interval is (95 %, with adaptive"
        " judging for all looks together), not by a figure that luck may have lifted.",
    )

    def of(self, metric: Metric) -> MetricTarget:
        named = {"precision": self.precision, "similarity": self.similarity}
        return named.get(metric) or self.metrics.get(metric) or MetricTarget()

    @model_validator(mode="after")
    def _asks_for_something(self) -> TargetSettings:
        judged = (self.precision, self.similarity, *self.metrics.values())
        if (
            not any(t.mean_score is not None or t.coverage_percentage for t in judged)
            and not self.free
            and self.win_rate is None
        ):
            raise ValueError(
                "no target is set; give a mean_score, a coverage_percentage, a free metric or a"
                " win_rate"
            )
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
