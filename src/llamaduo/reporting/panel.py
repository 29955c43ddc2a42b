"""The panel's score of every response, from judgements that are read without their reasons.

A run can have a hundred thousand judgements. Everything but the few that a report prints is
needed as numbers only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Protocol

from llamaduo.records import METRICS, Metric


class Scored(Protocol):
    """What scores a response: a judgement, whole or only its numbers."""

    @property
    def response_id(self) -> str: ...
    @property
    def judge(self) -> str: ...
    @property
    def similarity(self) -> int: ...
    @property
    def precision(self) -> int: ...


@dataclass(frozen=True, slots=True)
class JudgementScore:
    """A line of ``judgements.jsonl`` without its reasons. Scores are whole, 0–100."""

    response_id: str
    judge: str
    similarity: int
    precision: int
    pair_id: str = ""


@dataclass(frozen=True, slots=True)
class PanelScore:
    """One response by the whole panel, 0–100: each judge's mean (Eq. 5), then theirs."""

    similarity: float
    precision: float

    @property
    def middle(self) -> float:
        """The mean of both metrics, by which responses are ranked."""
        return (self.similarity + self.precision) / 2

    def of(self, metric: Metric) -> float:
        """One metric's score."""
        return self.similarity if metric == "similarity" else self.precision


def panel_scores(judgements: Iterable[Scored]) -> dict[str, PanelScore]:
    """The panel's score of every response that has a judgement, by response id."""
    sums: dict[str, dict[str, list[int]]] = {}
    for one in judgements:
        judges = sums.setdefault(one.response_id, {})
        found = judges.setdefault(one.judge, [0, 0, 0])
        found[0] += 1
        found[1] += one.similarity
        found[2] += one.precision
    return {response: _mean(list(judges.values())) for response, judges in sums.items()}


def _mean(judges: Sequence[Sequence[int]]) -> PanelScore:
    return PanelScore(
        similarity=fmean(similarity / count for count, similarity, _ in judges),
        precision=fmean(precision / count for count, _, precision in judges),
    )


@dataclass(frozen=True, slots=True)
class JudgeScore:
    """One judge's mean scores of one response, over ``judgements`` of them."""

    judge: str
    judgements: int
    scores: dict[Metric, float]


def judge_scores(judgements: Sequence[Scored]) -> tuple[JudgeScore, ...]:
    """What each judge made of one response (Eq. 5), in the order they first judged."""
    names = dict.fromkeys(one.judge for one in judgements)
    return tuple(_judge(name, [one for one in judgements if one.judge == name]) for name in names)


def _judge(name: str, own: Sequence[Scored]) -> JudgeScore:
    return JudgeScore(name, len(own), {m: fmean(getattr(one, m) for one in own) for m in METRICS})
