"""From judgements to each response's score, exactly (Eq. 5).

Scores are exact fractions, so the order of judgements never matters and a response whose score
equals ζ reaches ζ.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm
from statistics import median
from typing import Literal

from llamaduo.records import Judgements, Metric

Exact = int | Fraction
Aggregate = Callable[[Sequence[Exact]], Fraction]
"""How repeats, and then judges, make one score."""


def mean(values: Sequence[Exact]) -> Fraction:
    """Summed over a common denominator: fractions are slow to add, and a run has a million."""
    total, denominator = 0, 1
    for value in values:
        if value.denominator != denominator:
            common = lcm(denominator, value.denominator)
            total, denominator = total * (common // denominator), common
        total += value.numerator * (denominator // value.denominator)
    return Fraction(total, denominator * len(values))


def aggregate_of(name: Literal["mean", "median"]) -> Aggregate:
    """The function that ``judging.aggregate`` names."""
    return mean if name == "mean" else lambda values: median(map(Fraction, values))


@dataclass(slots=True)
class Tally:
    """One judge's judgements of one response: its marks by metric, and how many are missing."""

    marks: dict[Metric, list[int]] = field(default_factory=lambda: defaultdict(list))
    scored: int = 0
    unscored: int = 0

    def score(self, metric: Metric, aggregate: Aggregate) -> Fraction:
        """V^j (Eq. 5), where there is a mark."""
        return aggregate(self.marks[metric])

    def score_if(self, metric: Metric, aggregate: Aggregate, assumed: int) -> Fraction:
        """V^j if every missing mark had been ``assumed``."""
        return aggregate([*self.marks[metric], *[assumed] * self.unscored])


Tallies = Mapping[str, Sequence[Tally]]
"""Response id → the tallies of the judges that were asked about it."""


def tally(judgements: Judgements) -> dict[str, dict[str, Tally]]:
    """Judge → response id → tally, both in the order of the judgements."""
    found: dict[str, dict[str, Tally]] = defaultdict(lambda: defaultdict(Tally))
    for judgement in judgements.scored:
        one = found[judgement.judge][judgement.response_id]
        one.scored += 1
        for metric, mark in judgement.marks.items():
            one.marks[metric].append(mark.score)
    for unscored in judgements.unscored:
        found[unscored.judge][unscored.response_id].unscored += 1
    return found


def of_panel(by_judge: Mapping[str, Mapping[str, Tally]]) -> dict[str, list[Tally]]:
    """The tallies of all judges, by response."""
    panel: dict[str, list[Tally]] = defaultdict(list)
    for by_response in by_judge.values():
        for response_id, one in by_response.items():
            panel[response_id].append(one)
    return panel


def values(tallies: Tallies, metric: Metric, aggregate: Aggregate) -> dict[str, Fraction]:
    """The score of every response that has a mark, by its id.

    A judge's score comes first, then the panel's of them, so that a judge which was unscored
    more often has no less say in the others.
    """
    return {
        response_id: aggregate([one.score(metric, aggregate) for one in judges if one.scored])
        for response_id, judges in tallies.items()
        if any(one.scored for one in judges)
    }


def mean_if(tallies: Tallies, metric: Metric, aggregate: Aggregate, assumed: int) -> float:
    """V if every missing mark had been ``assumed``; that itself if nothing was judged."""
    scores = [
        aggregate([one.score_if(metric, aggregate, assumed) for one in judges])
        for judges in tallies.values()
    ]
    return float(mean(scores)) if scores else float(assumed)
