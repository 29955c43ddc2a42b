"""Runs of words get numbers, and are found again in other texts."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.likeness.phrases import find_all, phrases_of
from llamaduo.likeness.texts import Texts, starts_of

ROWS = st.lists(st.lists(st.integers(0, 4), max_size=9), max_size=5)


def texts_of(rows: list[list[int]]) -> Texts:
    words = np.array([word for row in rows for word in row], np.int32)
    return Texts(words, starts_of(np.array([len(row) for row in rows], np.int64)))


@given(ROWS, st.lists(st.integers(0, 5), max_size=12), st.integers(1, 4), st.data())
def test_equal_runs_have_one_number_and_others_none(
    rows: list[list[int]], text: list[int], size: int, data: st.DataObject
) -> None:
    count = sum(map(len, rows))
    apart = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
    phrases = phrases_of(texts_of(rows), size, np.array(apart, np.bool_))
    numbers: dict[tuple[int, ...], int] = {}
    place = 0
    for row in rows:
        for i in range(len(row)):
            run = tuple(row[i : i + size])
            counts = len(run) == size and not any(apart[place : place + size])
            expected = numbers.setdefault(run, len(numbers)) if counts else -1
            assert phrases.numbers[place] == expected
            place += 1
    assert phrases.kinds == len(numbers)
    found = np.empty(max(1, len(text)), np.int32)
    places = find_all(phrases, np.array(text, np.int32), found)
    runs = [tuple(text[i : i + size]) for i in range(len(text) - size + 1)]
    assert found[:places].tolist() == [numbers.get(run, -1) for run in runs]
