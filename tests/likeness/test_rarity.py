"""What two texts share says the less, the more other texts have it."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.likeness.rarity import (
    SAMPLE,
    UNIT,
    alike,
    lengthening,
    mark,
    marks,
    rarity_of,
    shared,
)
from tests.curation.held_out_oracle import Rarity as Plain
from tests.curation.held_out_oracle import f
from tests.likeness.test_phrases import ROWS, texts_of

WORD_LISTS = st.lists(st.integers(0, 5), max_size=12)


def bits(held: list[int], ours: list[int], known: list[list[int]]) -> int:
    """What ``held`` and ``ours`` share, in 1/256 bit."""
    rarity = rarity_of(texts_of([[5, 5], held]), texts_of(known))
    space = marks(rarity, max(1, len(ours)))
    mark(7, np.array(ours, np.int32), rarity, space)
    discount = lengthening(len(ours), rarity) if ours else 0
    found = shared(7, 2, 2 + len(held), discount, (rarity, space))
    assert (space.least == -1).all()
    return found


def test_a_word_says_how_rare_it_is_and_a_phrase_not_much_more_than_its_first_word() -> None:
    known = [[0, 1, 2] if i < 25 else [3, 4, 5] for i in range(100)]
    assert math.isclose(bits([0], [0], known), 2 * UNIT, abs_tol=8)
    assert math.isclose(bits([0, 1, 2], [0, 1, 2], known), 2 * UNIT, abs_tol=30)
    assert math.isclose(bits([0, 1, 2], [2, 1, 0], known), 6 * UNIT, abs_tol=24)


def test_a_word_counts_once_and_less_in_a_longer_text() -> None:
    known = [[0], [1], [2], [3]] * 16
    assert bits([0, 0], [0, 0], []) == bits([0], [0], [])
    assert bits([0], [0, 4, 4, 4], known) == bits([0], [0], known) - 2 * UNIT


def test_unseen_words_say_more_the_more_texts_lack_them() -> None:
    assert bits([4], [4], []) == 10 * UNIT
    assert bits([4], [4], [[0]] * 3) == 12 * UNIT


@given(WORD_LISTS, WORD_LISTS, ROWS)
def test_equal_to_counting_in_plain_python(
    held: list[int], ours: list[int], known: list[list[int]]
) -> None:
    if not ours:
        assert bits(held, ours, known) == 0
        return
    plain = Plain([tuple(map(str, text)) for text in known])
    expected = plain.shared(tuple(map(str, held)), tuple(map(str, ours)))
    assert bits(held, ours, known) == expected


@given(ROWS, st.sampled_from([Fraction(1, 2), Fraction(17, 20), Fraction(1)]))
def test_alike_are_as_many_as_comparing_any_two_finds(
    rows: list[list[int]], least: Fraction
) -> None:
    texts = [tuple(map(str, row)) for row in rows]
    found = [f(a, b) for a, b in combinations(texts, 2) if a != b]
    found = [share for share in found if share >= least]
    counts, pairs = alike(texts_of(rows), *least.as_integer_ratio(), 6)
    assert counts.tolist() == [sum(100 * s >= k for s in found) for k in range(101)]
    assert pairs == len(rows) * (len(rows) - 1) // 2


def test_of_many_texts_a_sample_is_compared() -> None:
    rows = [[i, i + 1, i + 2] if i % 3 else [1, 2, 3, i] for i in range(3 * SAMPLE)]
    counts, pairs = alike(texts_of(rows), 3, 4, 3 * SAMPLE + 3)
    assert pairs == SAMPLE * (SAMPLE - 1) // 2
    assert counts[75] == pairs
