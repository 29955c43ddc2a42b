"""The panel's score of every response, from judgements that are read without their reasons.

A run can have a hundred thousand judgements. Everything but the few that a report prints is
needed as numbers only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Literal, Protocol

from llamaduo.records import Metric

Aggregate = Literal["mean", "median"]
"""``judging.aggregate``: how repeats, and then judges, make one score of a response."""
_AGGREGATES: dict[Aggregate, Callable[[Iterable[float]], float]] = {"mean": fmean, "median": median}


class Scored(Protocol):
    """A metric's score: a mark, whole or only its number."""

    @property
    def score(self) -> int: ...


class Judged(Protocol):
    """What scores a response: a judgement, whole or only its numbers."""

    @property
    def response_id(self) -> str: ...
    @property
    def judge(self) -> str: ...
    @property
    def marks(self) -> Mapping[Metric, Scored]: ...


@dataclass(frozen=True, slots=True)
class MarkScore:
    """A mark without its reason. The score is whole, 0–100."""

    score: int


@dataclass(frozen=True, slots=True)
class JudgementScore:
    """A line of ``judgements.jsonl`` without its reasons."""

    response_id: str
    judge: str
    marks: Mapping[Metric, MarkScore]
    pair_id: str = ""


@dataclass(frozen=True, slots=True)
class PanelScore:
    """One response by the whole panel: a score from 0 to 100 for each metric."""

    scores: Mapping[Metric, float]

    @property
    def middle(self) -> float:
        """The mean of all metrics, by which responses are ranked; 0 where there is none."""
        return fmean(self.scores.values()) if self.scores else 0.0

    def of(self, metric: Metric) -> float | None:
        """One metric's score; None where nobody was asked for it."""
        return self.scores.get(metric)


def panel_scores(
    judgements: Iterable[Judged], aggregate: Aggregate = "mean"
) -> dict[str, PanelScore]:
    """The panel's score of every response that has a judgement, by response id: each judge's
    (Eq. 5), then theirs."""
    found: dict[str, dict[Metric, dict[str, list[int]]]] = {}
    for one in judgements:
        metrics = found.setdefault(one.response_id, {})
        for metric, mark in one.marks.items():
            metrics.setdefault(metric, {}).setdefault(one.judge, []).append(mark.score)
    together = _AGGREGATES[aggregate]
    return {
        response: PanelScore(
            {
                metric: together([together(scores) for scores in judges.values()])
                for metric, judges in metrics.items()
            }
        )
        for response, metrics in found.items()
    }


@dataclass(frozen=True, slots=True)
class JudgeScore:
    """One judge's scores of one response, over ``judgements`` of them."""

    judge: str
    judgements: int
    scores: dict[Metric, float]


def judge_scores(
    judgements: Sequence[Judged], aggregate: Aggregate = "mean"
) -> tuple[JudgeScore, ...]:
    """What each judge made of one response (Eq. 5), in the order they first judged."""
    by_judge: dict[str, list[Judged]] = {}
    for one in judgements:
        by_judge.setdefault(one.judge, []).append(one)
    return tuple(
        JudgeScore(name, len(own), dict(panel_scores(own, aggregate)[own[0].response_id].scores))
        for name, own in by_judge.items()
    )
