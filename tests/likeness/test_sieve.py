from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamaduo.likeness.compiled import Workers
from llamaduo.likeness.families import leaders
from llamaduo.likeness.minhash import runs_of
from llamaduo.likeness.rouge import prepared
from llamaduo.likeness.sieve import BLOCK, WINDOW, Candidates, Fate, Sieved, sieve
from tests.likeness.sequences import Row, drawn, plainly_sieved, texts_of

limits = st.sampled_from(["0.3", "0.5", "0.6", "0.7", "0.75", "0.9", "1"]).map(Fraction)


def sieved(
    rows: Sequence[Row],
    known: int,
    near: Fraction,
    novel: Fraction,
    fates: Sequence[int],
    *,
    threads: int = 1,
    block: int = BLOCK,
    window: int = WINDOW,
) -> Sieved:
    texts, numbers = texts_of(rows), dict[Row, int]()
    same = np.array([numbers.setdefault(row, len(numbers)) for row in rows], np.int64)
    words = int(texts.words.max(initial=0)) + 1
    with Workers(threads) as workers:
        candidates = Candidates(
            known=known,
            same=same,
            fates=np.array(fates, np.int8),
            runs=runs_of(texts, texts, near, workers),
            rouge=prepared(texts, texts, novel, words, workers),
            words=words,
        )
        return sieve(candidates, workers, block=block, window=window)


def listed(result: Sieved) -> list[tuple[int, int]]:
    return list(zip(result.fates.tolist(), result.lost_to.tolist(), strict=True))


def barred(count: int, known: int, rng: random.Random) -> list[int]:
    kinds = (Fate.KEPT, Fate.KEPT, Fate.KEPT, Fate.BARRED, Fate.EXCLUDED)
    return [0] * known + [int(rng.choice(kinds)) for _ in range(count - known)]


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 10**9), st.sampled_from([4, 30, 400]), st.sampled_from([0, 15]), limits, limits
)
def test_the_outcome_is_that_of_comparing_all_with_all(
    seed: int, words: int, known: int, near: Fraction, novel: Fraction
) -> None:
    rng = random.Random(seed)
    rows = drawn(80, words, rng)
    fates = barred(80, known, rng)
    found = sieved(rows, known, near, novel, fates)
    assert listed(found) == plainly_sieved(rows, known, near, novel, fates)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**9), limits)
def test_blocks_windows_and_threads_change_nothing(seed: int, novel: Fraction) -> None:
    rng = random.Random(seed)
    rows, near = drawn(150, 60, rng), Fraction(7, 10)
    fates = barred(150, 10, rng)
    ways = [
        listed(sieved(rows, 10, near, novel, fates, threads=n, block=block, window=window))
        for n, block, window in ((1, BLOCK, WINDOW), (2, 7, 21), (3, 64, 128), (2, 1, 1))
    ]
    assert all(way == ways[0] for way in ways)


def test_a_limit_that_is_reached_exactly_counts() -> None:
    """2 · 7 ÷ (10 + 10) is 0.7, which floating point may miss."""
    rows = [(0, 1, 2, 3, 4, 5, 6, 7, 8, 9), (0, 1, 2, 3, 4, 5, 6, 17, 18, 19)]
    found = sieved(rows, 0, Fraction(1), Fraction("0.7"), [0, 0])
    assert listed(found) == [(Fate.KEPT, -1), (Fate.ALIKE, 0)]
    found = sieved(rows, 0, Fraction(1), Fraction("0.71"), [0, 0])
    assert listed(found) == [(Fate.KEPT, -1), (Fate.KEPT, -1)]


def test_what_is_dropped_costs_no_other_its_place() -> None:
    first, other = tuple(range(20)), (*range(18), 50, 51)
    for fate in (Fate.BARRED, Fate.EXCLUDED):
        found = sieved([first, other], 0, Fraction(1), Fraction("0.7"), [fate, 0])
        assert listed(found) == [(fate, -1), (Fate.KEPT, -1)]


def test_a_very_long_text_is_compared_as_well() -> None:
    rng = random.Random(1)
    long = tuple(rng.randrange(5000) for _ in range(60_000))
    rows = [long, (1, 2, 3), (*long[:59_000], 5, 6, 7), ()]
    found = sieved(rows, 0, Fraction(1), Fraction("0.9"), [0] * 4)
    assert [fate for fate, _ in listed(found)] == [Fate.KEPT, Fate.KEPT, Fate.ALIKE, Fate.KEPT]


@pytest.mark.parametrize("count", [0, 1])
def test_few_texts(count: int) -> None:
    assert (
        listed(sieved([(1, 2)] * count, 0, Fraction(1), Fraction(1), [0] * count))
        == [(Fate.KEPT, -1)] * count
    )


def test_leaders_are_the_first_of_their_kind() -> None:
    rows = [(1, 2, 3, 4), (9, 8, 7), (1, 2, 3, 5), (9, 8, 6), ()]
    assert leaders(texts_of(rows), Fraction(1, 2), 10).tolist() == [0, 1, 0, 1, 4]
