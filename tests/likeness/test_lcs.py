from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.likeness.lcs import lcs_length, popcount
from llamaduo.tasks import words

WORDS = 9
rows = st.lists(st.integers(0, WORDS - 1), max_size=200)


def length(a: list[int], b: list[int]) -> int:
    masks, carries = np.zeros(WORDS, np.uint64), np.ones(200, np.uint8)
    found = lcs_length(np.array(a, np.int32), np.array(b, np.int32), masks, carries)
    assert not masks.any(), "the next call relies on it"
    return found


@given(rows, rows)
def test_it_is_the_length_that_the_plain_algorithm_finds(a: list[int], b: list[int]) -> None:
    assert length(a, b) == words.lcs_length([*map(str, a)], [*map(str, b)])


def test_a_match_that_reaches_over_blocks_of_64_words_is_counted_once() -> None:
    a = [i % 7 for i in range(200)]
    assert length(a, a) == 200
    assert length(a, a[:65]) == 65
    assert length(a, []) == 0


@given(st.integers(0, 2**64 - 1))
def test_popcount(number: int) -> None:
    assert popcount(np.uint64(number)) == number.bit_count()
