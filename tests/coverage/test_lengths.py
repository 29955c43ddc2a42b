"""Lengths in tokens, with a counter that the test passes in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llamaduo.coverage.lengths import measure_lengths
from llamaduo.records import Lengths, Message, Pair, Provenance, pair_id


def pair(prompt_words: int, response_words: int) -> Pair:
    messages = (Message("user", " ".join(["p"] * prompt_words)),)
    response = " ".join(["r"] * response_words)
    return Pair(
        id=pair_id(messages, response),
        messages=messages,
        response=response,
        reference_source="human",
        provenance=Provenance(origin="coverage", source="pairs.jsonl:1"),
    )


def by_word(pair: Pair) -> tuple[int, int]:
    return len(pair.instruction.split()), len(pair.response.split())


def test_lengths_are_counted_against_the_window() -> None:
    pairs = [pair(3, 1), pair(4, 1), pair(20, 12), pair(2, 30), pair(33, 0)]
    assert measure_lengths(pairs, by_word, window=32) == Lengths(
        pairs=5,
        fits=4,
        longest_prompt=33,
        longest_response=30,
        histogram=((4, 1), (8, 1), (16, 0), (32, 2), (64, 1)),
        window=32,
    )


def test_the_share_that_fits() -> None:
    assert measure_lengths([pair(1, 1), pair(9, 9)], by_word, window=4).share == 0.5


def test_nothing_to_measure() -> None:
    lengths = measure_lengths([], by_word, window=4)
    assert (lengths.pairs, lengths.share, lengths.histogram) == (0, 0.0, ())


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 5000)), max_size=30))
def test_the_histogram_holds_every_pair_under_the_smallest_bound(
    counts: list[tuple[int, int]],
) -> None:
    remaining = iter(counts)
    lengths = measure_lengths([pair(1, 1)] * len(counts), lambda _: next(remaining), window=100)
    assert sum(pairs for _, pairs in lengths.histogram) == len(counts)
    for bound, pairs in lengths.histogram:
        assert pairs == sum(bound // 2 < max(p + r, 1) <= bound for p, r in counts)
