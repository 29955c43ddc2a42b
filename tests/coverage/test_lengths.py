"""Lengths in tokens, with a counter that the test passes in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llamaduo.coverage.lengths import measure_lengths
from llamaduo.records import Lengths, Message, Pair, Provenance, TokenStatistics, pair_id


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
    splits = {"train": pairs[:2], "test": pairs[2:], "final": []}
    assert measure_lengths(splits, by_word, window=32) == Lengths(
        pairs=5,
        fits=4,
        longest_prompt=33,
        longest_response=30,
        histogram=((4, 1), (8, 1), (16, 0), (32, 2), (64, 1)),
        window=32,
        longest_train_response=1,
        tokens={
            "train": TokenStatistics(pairs=2, shortest=4, longest=5, mean=4.5, deviation=0.5),
            "test": TokenStatistics(
                pairs=3, shortest=32, longest=33, mean=97 / 3, deviation=0.4714045207910317
            ),
        },
    )


def test_the_share_that_fits() -> None:
    splits = {"train": [pair(1, 1), pair(9, 9)]}
    assert measure_lengths(splits, by_word, window=4).share == 0.5


def test_nothing_to_measure() -> None:
    lengths = measure_lengths({"train": []}, by_word, window=4)
    assert (lengths.pairs, lengths.share, lengths.histogram) == (0, 0.0, ())


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 5000)), max_size=30))
def test_the_histogram_holds_every_pair_under_the_smallest_bound(
    counts: list[tuple[int, int]],
) -> None:
    remaining = iter(counts)
    splits = {"train": [pair(1, 1)] * len(counts)}
    lengths = measure_lengths(splits, lambda _: next(remaining), window=100)
    assert sum(pairs for _, pairs in lengths.histogram) == len(counts)
    for bound, pairs in lengths.histogram:
        assert pairs == sum(bound // 2 < max(p + r, 1) <= bound for p, r in counts)
