from __future__ import annotations

import random
from fractions import Fraction
from itertools import combinations

import pytest

from llamaduo.likeness.compiled import Workers
from llamaduo.likeness.minhash import PERMUTATIONS, bands_for, runs_of
from tests.likeness.sequences import edited, jaccard, texts_of


@pytest.mark.parametrize("limit", ["0.1", "0.3", "0.5", "0.6", "0.7", "0.8", "0.9", "1"])
def test_a_pair_at_the_limit_is_proposed(limit: str) -> None:
    """But for one in 1,000, except far below the limits that anybody uses."""
    bands, rows = bands_for(Fraction(limit))
    assert bands * rows <= PERMUTATIONS
    missed = (1 - float(limit) ** rows) ** bands
    assert missed <= 0.001 or (limit == "0.1" and rows == 1)


def test_texts_that_agree_in_a_band_are_few_and_those_alike_are_among_them() -> None:
    rng = random.Random(5)
    rows = [tuple(rng.randrange(3000) for _ in range(60)) for _ in range(60)]
    rows += [edited(row, 0.05, 3000, rng) for row in rows]
    with Workers(1) as workers:
        texts = texts_of(rows)
        groups = runs_of(texts, texts, Fraction("0.7"), workers).groups
    proposed = {
        (i, j)
        for i, j in combinations(range(len(rows)), 2)
        if ((groups[i] == groups[j]) & (groups[i] >= 0)).any()
    }
    alike = {
        (i, j)
        for i, j in combinations(range(len(rows)), 2)
        if jaccard(rows[i], rows[j]) >= Fraction("0.7")
    }
    assert len(alike) > 40
    assert alike <= proposed
    assert len(proposed) < 100


def test_empty_texts_are_in_no_group() -> None:
    with Workers(1) as workers:
        texts = texts_of([(), (), (1, 2), (1, 2)])
        groups = runs_of(texts, texts, Fraction("0.7"), workers).groups
    assert (groups[:2] == -1).all()
    assert (groups[2] == groups[3]).all()
