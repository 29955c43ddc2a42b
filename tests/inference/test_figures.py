"""What was measured, from the responses alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from llamaduo.inference.figures import measure, percentile
from llamaduo.inference.memory import PeakMemory
from llamaduo.records import Response


def response(pair: str, index: int, seconds: float, tokens: int = 3) -> Response:
    return Response(
        id=f"{pair}-{index}",
        pair_id=pair,
        index=index,
        author="local",
        text="",
        finish="stop",
        prompt_tokens=5,
        new_tokens=tokens,
        seconds=seconds,
    )


BATCHES = [
    (response("a", 0, 2.0), response("a", 1, 2.0), response("b", 0, 2.0), response("b", 1, 2.0)),
    (response("c", 0, 1.0), response("c", 1, 1.0)),
]


def test_batches_count_once_and_responses_each() -> None:
    figures = measure(BATCHES, too_long=4, greedy=False)
    assert (figures.prompts, figures.responses, figures.too_long) == (3, 6, 4)
    assert (figures.seconds, figures.new_tokens) == (3.0, 18)
    assert figures.tokens_per_second == 6.0
    assert (figures.p50_seconds, figures.p95_seconds) == (2.0, 2.0)


def test_greedy_responses_were_generated_once() -> None:
    assert measure(BATCHES, too_long=0, greedy=True).new_tokens == 9


def test_a_request_of_its_own_counts_for_itself() -> None:
    waited = [replace(one, latency=0.1 * i) for i, one in enumerate(BATCHES[0], start=1)]
    figures = measure([waited], too_long=0, greedy=False)
    assert (figures.p50_seconds, figures.p95_seconds) == (0.2, 0.4)
    assert figures.seconds == 2.0


def test_what_was_cut_off_empty_or_held_to_a_schema_is_counted() -> None:
    said = replace(BATCHES[0][0], text="{}", memory_bytes=5)
    batch = [
        replace(said, finish="length"),
        replace(said, text=" \n", memory_bytes=7),
        replace(said, unconstrained="{}"),
        replace(said, unconstrained="", memory_bytes=None),
    ]
    figures = measure([batch], too_long=0, greedy=False)
    assert (figures.truncated, figures.empty, figures.constrained) == (1, 1, 2)
    assert figures.peak_memory_bytes == 7
    assert measure(BATCHES, too_long=0, greedy=False).peak_memory_bytes is None


def test_the_peak_is_what_was_held_meanwhile() -> None:
    peak = PeakMemory()
    before = peak.bytes()
    held = bytearray(b"x") * (64 << 20)
    assert len(held) == 64 << 20
    del held
    assert peak.bytes() >= before + (60 << 20)  # the memory is free again, and was not


def test_nothing_measured_is_zero() -> None:
    figures = measure([], too_long=2, greedy=False)
    assert (figures.responses, figures.seconds, figures.p95_seconds) == (0, 0, 0.0)
    assert figures.tokens_per_second == 0.0


@pytest.mark.parametrize(("percent", "value"), [(1, 1), (50, 10), (95, 19), (100, 20)])
def test_percentiles_are_nearest_rank(percent: int, value: int) -> None:
    assert percentile([float(i) for i in range(1, 21)], percent) == value
