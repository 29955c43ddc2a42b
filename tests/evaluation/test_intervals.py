"""Intervals: worked examples, what must hold for any scores, and how often the truth is inside.

A share is the mean of 0s and 100s.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isclose, isfinite, sqrt
from random import Random
from time import perf_counter
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, t

from llamaduo.evaluation.intervals import (
    difference_of,
    mean_of,
    prompts_needed,
    students_difference_of,
)
from llamaduo.records import Interval

T = TypeVar("T")
PROMPT = st.integers(0, 5)
WHOLE = st.lists(st.tuples(st.integers(0, 100), PROMPT), min_size=1, max_size=40)
POINTS = st.lists(st.tuples(st.sampled_from([0.0, 50.0, 100.0]), PROMPT), min_size=1, max_size=40)


def split(rows: list[tuple[T, int]]) -> tuple[list[T], list[int]]:
    return [value for value, _ in rows], [prompt for _, prompt in rows]


def width(interval: Interval) -> float:
    return interval.high - interval.low


# --- worked examples ----------------------------------------------------------------------


def test_a_mean_of_many_prompts_has_students_interval_nearly() -> None:
    rng = np.random.default_rng(0)
    means = np.clip(rng.normal(60, 15, 1000), 0, 100)
    half = t.ppf(0.975, 999) * means.std(ddof=1) / sqrt(1000)
    interval = mean_of(np.repeat(means, 3), np.repeat(np.arange(1000), 3))
    assert isclose(interval.low, means.mean() - half, abs_tol=0.03)
    assert isclose(interval.high, means.mean() + half, abs_tol=0.03)


def test_near_the_top_a_mean_reaches_further_down_than_students_interval() -> None:
    values = [100] * 14 + [60, 80]
    plain = np.mean(values) - t.ppf(0.975, 15) * np.std(values, ddof=1) / 4
    assert mean_of(values, range(16)).low < plain - 1


def test_scores_that_are_nearly_all_right_are_no_surer_than_the_share_of_right_ones() -> None:
    """Of 50 prompts 5 % have a score of 10: a sample often has only one of them, or none."""
    scores = [97] * 49 + [10]
    right = mean_of([100] * 49 + [0], range(50))
    assert np.mean(scores) - mean_of(scores, range(50)).low > 0.7 * (98 - right.low)
    assert mean_of([97] * 50, range(50)).low < 93


def test_prompts_with_more_responses_weigh_more_in_a_mean_and_less_than_by_themselves() -> None:
    values, prompts = [80, 80, 80, 20, 50], [1, 1, 1, 2, 3]
    interval = mean_of(values, prompts)
    assert interval.low <= np.mean(values) <= interval.high
    assert width(interval) > width(mean_of(values, range(5)))


def test_a_share_of_one_response_a_prompt_is_wilsons_with_t_away_from_the_nearer_end() -> None:
    hits = [100] * 12 + [0] * 8
    interval = mean_of(hits, range(20))
    share, n, q = 0.6, 20, float(t.ppf(0.975, 19))
    centre = (share + q**2 / (2 * n)) / (1 + q**2 / n)
    half = q / (1 + q**2 / n) * sqrt(share * (1 - share) / n + q**2 / (4 * n**2))
    assert isclose(interval.low, 100 * (centre - half))
    assert 100 * (centre + half) <= interval.high < 100 * (centre + half) + 3


@pytest.mark.parametrize("misses", [1, 2, 3])
def test_towards_the_top_a_share_reaches_as_far_as_the_exact_binomial_limit(misses: int) -> None:
    hits = [100] * (50 - misses) + [0] * misses
    exact = binomtest(50 - misses, 50).proportion_ci(0.95, method="exact")
    assert mean_of(hits, range(50)).high >= 100 * exact.high - 1e-9


def test_copies_of_a_response_say_nothing_new() -> None:
    hits, prompts = [100, 0, 100, 100, 0, 100, 100, 100], list(range(8))
    once, four_times = mean_of(hits, prompts), mean_of(hits * 4, prompts * 4)
    assert isclose(once.low, four_times.low)
    assert isclose(once.high, four_times.high)


def test_different_responses_to_a_prompt_say_more_than_copies() -> None:
    prompts = np.repeat(np.arange(100), 4)
    mixed = 100 * (np.random.default_rng(0).random(400) < 0.7)
    alike = np.repeat(mixed[::4], 4)
    assert width(mean_of(mixed, prompts)) < 0.7 * width(mean_of(alike, prompts))


def test_nothing_but_hits_leaves_room_for_misses_by_the_number_of_prompts() -> None:
    few = mean_of(np.full(64, 100), np.repeat(np.arange(16), 4))
    many = mean_of(np.full(1600, 100), np.repeat(np.arange(400), 4))
    assert few.high == many.high == 100
    assert 75 < few.low < 85
    assert 98 < many.low < 99.5


def test_one_miss_does_not_make_a_share_surer() -> None:
    """It shows that responses to one prompt may differ, which is worth half a point at most."""
    prompts = np.repeat(np.arange(16), 4)
    hits = np.full(64, 100)
    all_hit = mean_of(hits, prompts)
    hits[0] = 0
    assert mean_of(hits, prompts).low < all_hit.low + 0.5


def test_nothing_but_ties_is_a_narrow_interval_around_the_half() -> None:
    interval = mean_of([50] * 200, range(200))
    assert interval.low < 50 < interval.high
    assert 0.5 < width(interval) < 3


def test_a_difference_is_paired_by_prompt() -> None:
    left, right = [90, 70, 50, 30], [85, 66, 44, 25]
    value, interval, prompts = students_difference_of(left, [1, 2, 3, 4], right, [1, 2, 3, 4])
    half = t.ppf(0.975, 3) * np.std([5, 4, 6, 5], ddof=1) / 2
    assert (value, prompts) == (5, 4)
    assert isclose(interval.low, 5 - half)
    assert isclose(interval.high, 5 + half)


@pytest.mark.parametrize(("prompts", "apart"), [(2, 100), (16, 12), (100, 2), (400, 0.5)])
def test_differences_that_are_all_alike_leave_room_for_others(prompts: int, apart: float) -> None:
    same, numbers = [97] * prompts, range(prompts)
    value, interval, _ = difference_of(same, numbers, same, numbers)
    assert value == 0
    assert -1.3 * apart < interval.low <= max(-100, -0.9 * apart)
    assert isclose(interval.high, -interval.low)


@pytest.mark.parametrize("difference", [difference_of, students_difference_of])
def test_a_difference_is_taken_over_the_prompts_that_both_have(
    difference: Callable[..., tuple[float, Interval, int]],
) -> None:
    whole = difference([1, 0, 1, 1], [7, 7, 9, 4], [0, 1, 1], [9, 4, 5])
    shared = difference([1, 1], [9, 4], [0, 1], [9, 4])
    assert whole == shared
    assert whole[2] == 2


def test_a_difference_of_shares_is_agresti_and_mins() -> None:
    left = [100] * 15 + [0] * 5
    right = [100] * 10 + [0] * 10  # 5 prompts where only the left hits
    value, interval, prompts = difference_of(left, range(20), right, range(20))
    b, c, n = 5.5, 0.5, 22
    centre, error = (b - c) / n, sqrt((b + c) - (b - c) ** 2 / n) / n
    assert (value, prompts) == (25, 20)
    assert isclose(interval.low, 100 * (centre - t.ppf(0.975, 19) * error))
    assert isclose(interval.high, 100 * (centre + t.ppf(0.975, 19) * error))


# --- at the edges -------------------------------------------------------------------------


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 0.0]])
def test_one_prompt_says_nothing(values: list[float]) -> None:
    prompts = [3] * len(values)
    assert mean_of(values, prompts) == Interval(0, 100)
    whole = Interval(-100, 100)
    assert difference_of(values, prompts, values, prompts) == (0, whole, len(set(prompts)))
    assert students_difference_of(values, prompts, values, prompts)[1] == whole


def test_without_a_shared_prompt_there_is_no_difference_to_know() -> None:
    assert difference_of([1, 2], [1, 2], [3, 4], [3, 4]) == (0, Interval(-100, 100), 0)


@pytest.mark.parametrize("value", [0, 100])
def test_at_the_ends_intervals_stay_on_the_scale(value: int) -> None:
    interval = mean_of([value] * 3, range(3))
    assert 0 <= interval.low <= value <= interval.high <= 100
    assert width(interval) > 0


# --- for any scores -----------------------------------------------------------------------


@given(WHOLE)
def test_a_mean_lies_in_its_interval(rows: list[tuple[int, int]]) -> None:
    values, prompts = split(rows)
    interval = mean_of(values, prompts)
    assert 0 <= interval.low <= np.mean(values) + 1e-9
    assert np.mean(values) - 1e-9 <= interval.high <= 100
    assert width(interval) > 0


@given(POINTS)
def test_a_share_lies_in_its_interval_and_the_rest_in_the_mirrored_one(
    rows: list[tuple[float, int]],
) -> None:
    points, prompts = split(rows)
    interval = mean_of(points, prompts)
    mirrored = mean_of([100 - point for point in points], prompts)
    assert 0 <= interval.low <= np.mean(points) + 1e-9
    assert np.mean(points) - 1e-9 <= interval.high <= 100
    assert width(interval) > 0
    assert isclose(mirrored.low, 100 - interval.high, abs_tol=1e-6)
    assert isclose(mirrored.high, 100 - interval.low, abs_tol=1e-6)


@given(POINTS, POINTS)
def test_a_difference_lies_in_its_interval_and_turns_round(
    left: list[tuple[float, int]], right: list[tuple[float, int]]
) -> None:
    for difference in (difference_of, students_difference_of):
        value, interval, prompts = difference(*split(left), *split(right))
        back, turned, _ = difference(*split(right), *split(left))
        assert prompts == len({p for _, p in left} & {p for _, p in right})
        assert -100 <= interval.low <= value <= interval.high <= 100
        assert isclose(back, -value, abs_tol=1e-9)
        assert isclose(turned.low, -interval.high, abs_tol=1e-9)
        assert width(interval) > 0


@given(POINTS, st.randoms())
def test_the_order_of_responses_and_the_names_of_prompts_do_not_matter(
    rows: list[tuple[float, int]], random: Random
) -> None:
    points, prompts = split(rows)
    random.shuffle(rows)
    turned, renamed = split([(point, 1000 - 7 * prompt) for point, prompt in rows])
    one, other = mean_of(points, prompts), mean_of(turned, renamed)
    assert isclose(one.low, other.low, abs_tol=1e-9)
    assert isclose(one.high, other.high, abs_tol=1e-9)


@given(WHOLE)
def test_more_confidence_is_a_wider_interval(rows: list[tuple[int, int]]) -> None:
    values, prompts = split(rows)
    wide, narrow = (mean_of(values, prompts, confidence=c) for c in (0.99, 0.9))
    assert wide.low <= narrow.low
    assert narrow.high <= wide.high


# --- how many prompts ---------------------------------------------------------------------


def test_half_the_distance_takes_four_times_the_prompts() -> None:
    assert prompts_needed(Interval(76, 84), 80, 78, 100) == 401
    assert prompts_needed(Interval(76, 84), 80, 79, 100) == 1601


def test_no_number_of_prompts_decides_on_a_bound_that_is_the_value() -> None:
    assert prompts_needed(Interval(70, 90), 80.0, 80.0, 50) is None
    assert prompts_needed(Interval(70, 90), 0.1 + 0.2, 0.3, 50) is None


@given(POINTS, st.floats(0, 100))
def test_an_open_question_takes_more_prompts_than_there_are(
    rows: list[tuple[float, int]], bound: float
) -> None:
    points, prompts = split(rows)
    interval, value, count = mean_of(points, prompts), np.mean(points), len(set(prompts))
    needed = prompts_needed(interval, float(value), bound, count)
    if needed is not None:
        assert isfinite(needed)
        assert needed >= 1
        if interval.low < bound <= interval.high and abs(value - bound) > 1e-6:
            assert needed >= count


# --- is it true? --------------------------------------------------------------------------


@pytest.mark.parametrize("hit_rate", [0.6, 0.95])
def test_the_truth_is_inside_as_often_as_it_is_said(hit_rate: float) -> None:
    """Three responses to each of 16 prompts, twice as often as not the same: 600 runs.

    ``benchmarks/judging/intervals.py`` does this for far more kinds of scores.
    """
    rng = np.random.default_rng(3)
    prompts = np.repeat(np.arange(16), 3)
    inside = 0
    for _ in range(600):
        shared = np.repeat(rng.random(16) < hit_rate, 3)
        hits = np.where(rng.random(48) < 0.6, shared, rng.random(48) < hit_rate)
        interval = mean_of(100 * hits, prompts)
        inside += interval.low <= 100 * hit_rate <= interval.high
    assert inside >= 0.93 * 600


def test_a_hundred_thousand_values_take_a_fraction_of_a_second() -> None:
    rng = np.random.default_rng(0)
    values, prompts = rng.integers(0, 101, 100_000), rng.integers(0, 5_000, 100_000)
    began = perf_counter()
    mean_of(values, prompts)
    mean_of(100 * (values >= 70), prompts)
    difference_of(values, prompts, values[::-1], prompts)
    assert perf_counter() - began < 2
