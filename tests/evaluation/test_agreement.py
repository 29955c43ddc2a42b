"""Figures of agreement against their definitions, written out slowly."""

from __future__ import annotations

import math
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from llamaduo.evaluation.agreement import krippendorff_alpha, ranks, spearman, weighted_kappa

NONE = float("nan")
POINTS = st.integers(0, 100)
TWO_SIDES = st.lists(st.tuples(POINTS, POINTS), min_size=2, max_size=40)

# Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", example C: 4 observers.
PUBLISHED = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, NONE, NONE, NONE],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NONE, 3],
    [NONE, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NONE],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NONE],
]


def alpha_by_definition(table: list[list[float]]) -> float | None:
    """Disagreement of the pairs of scores within responses, against that of all pairs."""
    units = [[v for v in row if not math.isnan(v)] for row in table]
    units = [row for row in units if len(row) > 1]
    every = [v for row in units for v in row]
    if not every:
        return None
    observed = sum(
        sum((a - b) ** 2 for a, b in permutations(row, 2)) / (len(row) - 1) for row in units
    ) / len(every)
    expected = sum((a - b) ** 2 for a, b in permutations(every, 2))
    expected /= len(every) * (len(every) - 1)
    return 1 - observed / expected if expected else None


def kappa_by_definition(left: list[int], right: list[int]) -> float | None:
    """Cohen 1968, over a table of five by five."""
    grades = [[min(score // 20, 4) for score in side] for side in (left, right)]
    n = len(left)
    observed = expected = 0.0
    for a, b in product(range(5), repeat=2):
        weight = (a - b) ** 2 / 16
        observed += weight * sum(pair == (a, b) for pair in zip(*grades, strict=True)) / n
        expected += weight * grades[0].count(a) / n * grades[1].count(b) / n
    return 1 - observed / expected if expected else None


def test_alpha_of_the_published_example() -> None:
    assert krippendorff_alpha(np.array(PUBLISHED).T) == pytest.approx(0.849, abs=5e-4)


@given(
    st.integers(2, 4).flatmap(
        lambda judges: st.lists(
            st.lists(st.one_of(POINTS, st.just(NONE)), min_size=judges, max_size=judges),
            max_size=12,
        )
    )
)
def test_alpha_is_its_definition(table: list[list[float]]) -> None:
    expected, found = alpha_by_definition(table), krippendorff_alpha(table)
    assert found == (None if expected is None else pytest.approx(expected, abs=1e-9))


def test_alpha_needs_two_scores_of_a_response_and_some_variation() -> None:
    assert krippendorff_alpha([]) is None
    assert krippendorff_alpha([[50, NONE], [NONE, 70]]) is None
    assert krippendorff_alpha([[50, 50], [50, 50]]) is None
    assert krippendorff_alpha([[50, 50], [70, 70]]) == 1.0


@given(TWO_SIDES)
def test_spearman_is_scipys(sides: list[tuple[int, int]]) -> None:
    left, right = ([pair[i] for pair in sides] for i in (0, 1))
    assume(len(set(left)) > 1 and len(set(right)) > 1)
    expected = float(stats.spearmanr(left, right).statistic)
    assert spearman(left, right) == pytest.approx(expected, abs=1e-9)


def test_spearman_of_one_value_is_none() -> None:
    assert spearman([], []) is None
    assert spearman([5, 5, 5], [1, 2, 3]) is None


@given(st.lists(POINTS, min_size=1, max_size=40))
def test_ranks_are_scipys(values: list[int]) -> None:
    assert ranks(values).tolist() == stats.rankdata(values).tolist()


@given(TWO_SIDES)
def test_kappa_is_its_definition(sides: list[tuple[int, int]]) -> None:
    left, right = ([pair[i] for pair in sides] for i in (0, 1))
    expected, found = kappa_by_definition(left, right), weighted_kappa(left, right)
    assert found == (None if expected is None else pytest.approx(expected, abs=1e-9))


def test_kappa_has_five_grades_and_the_last_one_has_100() -> None:
    assert weighted_kappa([0, 20, 40, 60, 80], [19, 39, 59, 79, 100]) == 1.0
    assert weighted_kappa([99, 0], [100, 19.5]) == 1.0
    assert weighted_kappa([85, 90], [95, 100]) is None, "chance alone would agree always"
    assert weighted_kappa([], []) is None
