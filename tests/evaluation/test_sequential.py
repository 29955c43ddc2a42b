"""Rounds: how far each goes, how sure each look is, and when more judgements are in vain."""

from __future__ import annotations

from itertools import pairwise
from math import isclose, prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.evaluation.intervals import mean_of
from llamaduo.evaluation.sequential import (
    looks_confidences,
    may_decide,
    plan_rounds,
)
from llamaduo.records import Interval

SIZE = st.integers(1, 2_000)
FEW = st.integers(1, 12)


# --- the rounds ---------------------------------------------------------------------------


def test_prompts_are_widened_before_responses_and_these_before_repeats() -> None:
    assert plan_rounds(200, 4, 10) == (
        (25, 1, 1),
        (50, 1, 1),
        (100, 1, 1),
        (200, 1, 1),
        (200, 4, 1),
        (200, 4, 2),
        (200, 4, 10),
    )


@pytest.mark.parametrize(
    ("whole", "rounds"),
    [
        ((1, 1, 1), ((1, 1, 1),)),
        ((16, 4, 2), ((16, 1, 1), (16, 4, 1), (16, 4, 2))),
        ((30, 1, 1), ((25, 1, 1), (30, 1, 1))),
        ((60, 1, 3), ((25, 1, 1), (50, 1, 1), (60, 1, 1), (60, 1, 2), (60, 1, 3))),
    ],
)
def test_small_runs_have_few_rounds(
    whole: tuple[int, int, int], rounds: tuple[tuple[int, int, int], ...]
) -> None:
    assert plan_rounds(*whole) == rounds


@given(SIZE, FEW, FEW)
def test_every_round_has_more_than_the_one_before_and_the_last_has_all(
    prompts: int, k: int, m: int
) -> None:
    rounds = plan_rounds(prompts, k, m)
    assert rounds[-1] == (prompts, k, m)
    for before, after in pairwise(rounds):
        assert all(b <= a for b, a in zip(before, after, strict=True))
        assert sum(b < a for b, a in zip(before, after, strict=True)) == 1


# --- how sure each look is ----------------------------------------------------------------


@given(SIZE, FEW, FEW, st.floats(0.5, 0.999))
def test_looks_hold_together_even_if_they_had_nothing_in_common(
    prompts: int, k: int, m: int, confidence: float
) -> None:
    rounds = plan_rounds(prompts, k, m)
    each = looks_confidences(rounds, confidence)
    assert len(each) == len(rounds)
    assert isclose(prod(each), confidence)
    assert all(confidence <= one < 1 for one in each)


def test_one_look_has_the_whole_confidence() -> None:
    assert looks_confidences([(40, 4, 2)]) == (0.95,)


def test_early_looks_are_surer_than_late_ones() -> None:
    each = looks_confidences(plan_rounds(400, 4, 2))
    assert each == tuple(sorted(each, reverse=True))
    assert each[0] > 0.999
    assert each[-1] > 0.98


def test_looking_again_and_again_seldom_leaves_the_truth_out() -> None:
    """Scores around 70 that many looks are taken at: 300 runs, of which 5 in 100 may be wrong
    at any look. With 95 % at every look it would be 12 in 100."""
    rng, rounds = np.random.default_rng(5), plan_rounds(200, 4, 1)
    once, each = 0, looks_confidences(rounds)
    for _ in range(300):
        scores = 70 + 15 * rng.standard_normal((200, 1)) + 10 * rng.standard_normal((200, 4))
        once += any(_outside(scores[:n, :k], c) for (n, k, _), c in zip(rounds, each, strict=True))
    assert once <= 0.05 * 300


def _outside(scores: np.ndarray[tuple[int, int], np.dtype[np.float64]], confidence: float) -> bool:
    prompts, k = scores.shape
    interval = mean_of(scores.ravel(), np.repeat(np.arange(prompts), k), confidence=confidence)
    return not interval.low <= 70 <= interval.high


# --- when more judgements are in vain -----------------------------------------------------


def around(value: float, half: float) -> Interval:
    return Interval(value - half, value + half)


def test_judgements_that_narrowed_nothing_will_not() -> None:
    assert not may_decide(80, 79, around(80, 4), around(80, 4), 2)


def test_judgements_that_took_all_they_could_away_may_go_on_doing_so() -> None:
    halved = 4 / 2**0.5  # all of the variance is between judgements
    assert may_decide(80, 79, around(80, halved), around(80, 4), 2)


@pytest.mark.parametrize(("bound", "decides"), [(77.0, False), (76.0, True), (84.0, True)])
def test_in_between_it_is_what_prompts_leave_that_counts(bound: float, decides: bool) -> None:
    """Squared half widths 12.25 + 12 / j for j judgements: 3.5 points are left in the end."""
    before, now = around(80, (12.25 + 12) ** 0.5), around(80, (12.25 + 12 / 4) ** 0.5)
    assert may_decide(80, bound, now, before, 4) is decides


@given(
    st.floats(20, 80), st.floats(20, 80), st.floats(0.1, 20), st.floats(0.1, 20), st.integers(2, 10)
)
def test_a_bound_that_is_the_value_is_never_decided(
    value: float, bound: float, now: float, before: float, growth: int
) -> None:
    assert not may_decide(value, value, around(value, now), around(value, before), growth)
    if abs(value - bound) > now * 1.000001:  # outside already
        assert may_decide(value, bound, around(value, now), around(value, before), growth) or (
            before < now
        )
