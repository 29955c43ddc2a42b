"""What moves a judge besides the worth of a response: length, position, family.

Each figure compares what belongs together, so that worth cancels: responses to one prompt, two
orders of the same two responses, two judges of the same responses. Points are of precision.
``benchmarks/judging/biases.py`` plants biases and measures how often the intervals have them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from math import log2, sqrt
from statistics import fmean
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llamaduo.evaluation.intervals import (
    ROUNDING,
    difference_of,
    students_difference_of,
    students_t,
)
from llamaduo.records import Comparison, Interval, Measure, Response
from llamaduo.tasks.words import words

NOTHING: Final = Measure(value=None, interval=None, prompts=0, responses=0)
"""The variance of what rounding to whole points takes away."""

_Floats = NDArray[np.float64]
Points = Mapping[str, float]
"""Response id → what one judge gives it on average, 0 to 100."""


def doublings(responses: Sequence[Response]) -> dict[str, float]:
    """Response id → log₂ of its words. Responses without a word are left out: that they earn
    nothing is right."""
    counts = {response.id: len(words(response.text)) for response in responses}
    return {response_id: log2(count) for response_id, count in counts.items() if count}


def length_slope(
    scores: Points, lengths: Mapping[str, float], responses: Sequence[Response]
) -> Measure:
    """Points for twice the words, among responses to one prompt. ``lengths`` are
    :func:`doublings`.

    Least squares with an effect of its own for every prompt, so that a prompt which is hard and
    needs long answers is no bias. The interval is the jackknife's over prompts (Bell & McCaffrey
    2002 call it CR3), with t. Nothing where fewer than two prompts have responses of different
    lengths.
    """
    by_prompt: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for response in responses:
        if response.id in scores and response.id in lengths:
            by_prompt[response.pair_id].append((lengths[response.id], scores[response.id]))
    varied = [rows for rows in by_prompt.values() if len({length for length, _ in rows}) > 1]
    if len(varied) < 2:
        return NOTHING
    slope, interval = _ratio(np.array([_parts(rows) for rows in varied]))
    return Measure(slope, interval, len(varied), sum(map(len, varied)))


def _parts(rows: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """One prompt's Σxy and Σx², both about the prompt's own means."""
    middle = sum(x for x, _ in rows) / len(rows)
    return sum((x - middle) * y for x, y in rows), sum((x - middle) ** 2 for x, _ in rows)


def _ratio(parts: _Floats) -> tuple[float, Interval]:
    """Σ above ÷ Σ below, with an interval from leaving out one prompt after the other."""
    above, below = parts.sum(axis=0)
    count, value = len(parts), float(above / below)
    without = (above - parts[:, 0]) / (below - parts[:, 1])
    variance = (count - 1) / count * float(((without - value) ** 2).sum())
    half = students_t(0.95, count) * sqrt(max(variance, ROUNDING / below))
    return value, Interval(value - half, value + half)


def position_preference(comparisons: Sequence[Comparison]) -> Measure:
    """How much more often the first of two responses wins than the second, of all comparisons,
    ties among them: −100 to 100.

    Only what was compared in both orders counts, so that the better response stands first as
    often as second.
    """
    orders: dict[tuple[str, int], list[Comparison]] = defaultdict(list)
    for one in comparisons:
        orders[one.response_id, one.index].append(one)
    both = [one for seen in orders.values() if len(seen) == 2 for one in seen]
    if not both:
        return NOTHING
    prompts = _numbers([one.pair_id for one in both])
    first = [100.0 * (one.better == "first") for one in both]
    second = [100.0 * (one.better == "second") for one in both]
    value, interval, count = difference_of(first, prompts, second, prompts)
    return Measure(value, interval, count, len({one.response_id for one in both}))


def family_bias(
    own: Points, others: Sequence[Points], akin: Sequence[Response], strange: Sequence[Response]
) -> Measure:
    """How many points more a judge gives than ``others`` do, judges of other families, for the
    responses of its own family (``akin``) than for those of ``strange`` authors.

    A judge that is merely milder than the others is milder to both. Over the prompts that have
    both kinds of response; nothing where there are none.
    """
    left, right = (_beyond(own, others, responses) for responses in (akin, strange))
    numbers = {prompt: n for n, prompt in enumerate(sorted({*left, *right}))}
    sides = (*_placed(left, numbers), *_placed(right, numbers))
    value, interval, count = students_difference_of(*sides)
    if not count:
        return NOTHING
    responses = sum(len(left[prompt]) + len(right[prompt]) for prompt in left.keys() & right.keys())
    return Measure(value, interval, count, responses)


def _beyond(
    own: Points, others: Sequence[Points], responses: Sequence[Response]
) -> dict[str, list[float]]:
    """Prompt → the judge's score less the others' mean, of each response that both sides scored."""
    found: dict[str, list[float]] = defaultdict(list)
    for response in responses:
        theirs = [scores[response.id] for scores in others if response.id in scores]
        if theirs and response.id in own:
            found[response.pair_id].append(own[response.id] - fmean(theirs))
    return dict(found)


def _placed(
    by_prompt: Mapping[str, Sequence[float]], numbers: Mapping[str, int]
) -> tuple[list[float], list[int]]:
    values = [value for own in by_prompt.values() for value in own]
    return values, [numbers[prompt] for prompt, own in by_prompt.items() for _ in own]


def _numbers(names: Sequence[str]) -> list[int]:
    known: dict[str, int] = {}
    return [known.setdefault(name, len(known)) for name in names]
