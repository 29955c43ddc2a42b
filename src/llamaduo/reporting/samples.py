"""Responses of one cycle over the whole range of its scores, with everything needed to agree or
disagree (the paper's Figures 9–17)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from llamaduo.records import Judgement, Message, Pair, Response
from llamaduo.reporting.panel import Aggregate, JudgeScore, PanelScore, judge_scores

EXTREMES = 3
"""How many of the worst and how many of the best responses are shown."""
BETWEEN = {"Low": 0.25, "Middle": 0.5, "High": 0.75}
"""Where between the worst and the best score the others are looked for."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A response that is worth showing, and its place among all: "Worst", "Low" … "Best"."""

    place: str
    response: Response
    scores: PanelScore


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One response with its prompt, its reference and what the judges made of it.

    ``quoted`` has the judgements whose reasons are printed: each judge's lowest and highest.
    """

    place: str
    prompt: tuple[Message, ...]
    reference: str
    response: Response
    scores: PanelScore
    judges: tuple[JudgeScore, ...]
    quoted: tuple[Judgement, ...]


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples of one cycle, the worst first."""

    cycle: int
    shown: tuple[Sample, ...]


def choose(responses: Iterable[Response], scores: Mapping[str, PanelScore]) -> tuple[Choice, ...]:
    """The worst and the best scored responses, and some between them, the worst first.

    K identical answers to one prompt count once, or they would fill the page.
    """
    distinct: dict[tuple[str, str], Response] = {}
    for response in responses:
        if response.id in scores:
            distinct.setdefault((response.pair_id, response.text), response)
    ranked = sorted(distinct.values(), key=lambda one: (scores[one.id].middle, one.id))
    middle, best = _parted(ranked)
    places = [("Worst", one) for one in ranked[:EXTREMES]]
    places += _between(middle, scores, ranked)
    places += [("Best", one) for one in best]
    return tuple(Choice(place, one, scores[one.id]) for place, one in places)


def _parted(ranked: Sequence[Response]) -> tuple[Sequence[Response], Sequence[Response]]:
    """What lies between the extremes, and the best: none of which is among the worst."""
    rest = ranked[EXTREMES:]
    cut = max(0, len(rest) - EXTREMES)
    return rest[:cut], rest[cut:]


def _between(
    middle: Sequence[Response], scores: Mapping[str, PanelScore], ranked: Sequence[Response]
) -> list[tuple[str, Response]]:
    """Those whose scores are nearest to a quarter, half and three quarters of the range."""
    if not middle:
        return []
    low, high = scores[ranked[0].id].middle, scores[ranked[-1].id].middle
    left, found = list(middle), []
    for place, share in BETWEEN.items():
        if left:
            aim = low + share * (high - low)
            nearest = min(left, key=lambda one: abs(scores[one.id].middle - aim))
            left.remove(nearest)
            found.append((place, nearest))
    return sorted(found, key=lambda one: scores[one[1].id].middle)


def samples_of(
    cycle: int,
    choices: Sequence[Choice],
    judgements: Iterable[Judgement],
    pairs: Mapping[str, Pair],
    aggregate: Aggregate = "mean",
) -> Samples:
    """The chosen responses with their judgements; one whose pair is gone is left out."""
    by_response: dict[str, list[Judgement]] = defaultdict(list)
    for judgement in judgements:
        by_response[judgement.response_id].append(judgement)
    shown = (
        _sample(one, by_response[one.response.id], pairs[one.response.pair_id], aggregate)
        for one in choices
        if one.response.pair_id in pairs
    )
    return Samples(cycle, tuple(shown))


def _sample(
    choice: Choice, judgements: Sequence[Judgement], pair: Pair, aggregate: Aggregate
) -> Sample:
    judges = judge_scores(judgements, aggregate)
    quoted = [
        j for judge in judges for j in _ends([o for o in judgements if o.judge == judge.judge])
    ]
    return Sample(
        place=choice.place,
        prompt=pair.messages,
        reference=pair.response,
        response=choice.response,
        scores=choice.scores,
        judges=judges,
        quoted=tuple(quoted),
    )


def _ends(judgements: Sequence[Judgement]) -> list[Judgement]:
    """The lowest and the highest of one judge's judgements; one where there is only one."""
    ordered = sorted(judgements, key=lambda one: (_sum(one), one.index))
    return ordered if len(ordered) < 2 else [ordered[0], ordered[-1]]


def _sum(judgement: Judgement) -> int:
    return sum(mark.score for mark in judgement.marks.values())
