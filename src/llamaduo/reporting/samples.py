"""The worst and the best responses of one cycle, with everything needed to agree or disagree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from llamaduo.records import METRICS, Judgement, Message, Metric, Pair, Response

SHOWN = 3
"""How many worst and how many best responses are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One response with its prompt, its reference and every judgement of it.

    ``scores`` are the panel's, 0–100: the mean over judges of each judge's mean.
    """

    prompt: tuple[Message, ...]
    reference: str
    response: Response
    judgements: tuple[Judgement, ...]
    scores: dict[Metric, float]

    @property
    def rank(self) -> tuple[float, str]:
        """By the mean of both metrics; the id makes the order of equals stable."""
        return fmean(self.scores.values()), self.response.id


@dataclass(frozen=True, slots=True)
class Samples:
    """The extremes of one cycle: worst first, and best first."""

    cycle: int
    worst: tuple[Sample, ...]
    best: tuple[Sample, ...]


def panel_scores(judgements: Sequence[Judgement]) -> dict[Metric, float]:
    """The panel's score of one response (Eq. 5 per judge, then the mean over judges)."""
    by_judge: dict[str, list[Judgement]] = defaultdict(list)
    for judgement in judgements:
        by_judge[judgement.judge].append(judgement)
    return {metric: fmean(_means(by_judge.values(), metric)) for metric in METRICS}


def _means(groups: Iterable[Sequence[Judgement]], metric: Metric) -> list[float]:
    return [fmean(getattr(judgement, metric) for judgement in group) for group in groups]


def extremes(
    cycle: int,
    responses: Iterable[Response],
    judgements: Iterable[Judgement],
    pairs: Mapping[str, Pair],
    shown: int = SHOWN,
) -> Samples:
    """The ``shown`` worst and best scored responses, none in both.

    K identical answers to one prompt count once, or they would fill the page.
    """
    by_response: dict[str, list[Judgement]] = defaultdict(list)
    for judgement in judgements:
        by_response[judgement.response_id].append(judgement)
    distinct: dict[tuple[str, str], Sample] = {}
    for response in responses:
        seen = (response.pair_id, response.text) in distinct
        if not seen and response.id in by_response and response.pair_id in pairs:
            sample = _sample(response, by_response[response.id], pairs[response.pair_id])
            distinct[response.pair_id, response.text] = sample
    ranked = sorted(distinct.values(), key=lambda sample: sample.rank)
    worst = ranked[:shown]
    best = ranked[shown:][::-1][:shown]
    return Samples(cycle, tuple(worst), tuple(best))


def _sample(response: Response, judgements: Sequence[Judgement], pair: Pair) -> Sample:
    return Sample(
        prompt=pair.messages,
        reference=pair.response,
        response=response,
        judgements=tuple(judgements),
        scores=panel_scores(judgements),
    )
