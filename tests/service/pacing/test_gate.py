"""The gate: closed for as long as asked, longer after each refusal, once for each burst."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from llamaduo.service.pacing.gate import Gate
from llamaduo.service.retry import Backoff

DRAW = random.Random(1)


def gate_of(first: float = 1.0, most: float = 64.0) -> Gate:
    return Gate(Backoff(first=first, most=most), DRAW)


def test_it_is_closed_for_as_long_as_asked_and_a_little_more() -> None:
    gate = gate_of()
    assert gate.wait(5.0) == 0.0
    assert gate.refused(5.0, 4.0, 20.0)
    assert 20.0 <= gate.wait(5.0) <= 21.0
    assert gate.wait(30.0) == 0.0


def test_each_refusal_after_it_opened_is_waited_for_longer() -> None:
    gate, now = gate_of(), 0.0
    for place in range(10):
        assert gate.refused(now, now, None)
        wait = gate.wait(now)
        assert min(2.0**place, 64.0) / 2 <= wait <= min(2.0**place, 64.0)
        now += wait
    gate.accepted(now)
    gate.refused(now, now, None)
    assert gate.wait(now) <= 1.0


def test_calls_that_were_under_way_with_a_refused_one_mean_nothing_new() -> None:
    gate = gate_of(first=1.0)
    assert gate.refused(10.0, 9.0, 5.0)
    opens = 10.0 + gate.wait(10.0)
    assert not gate.refused(10.1, 9.1, 5.0)
    assert not gate.refused(opens + 1.0, 9.2, None)
    assert gate.wait(opens + 1.0) == 0.0
    assert gate.refused(opens + 2.0, opens + 1.5, None)


def test_an_old_success_does_not_end_a_row_of_refusals() -> None:
    gate = gate_of()
    gate.refused(10.0, 10.0, 5.0)
    gate.accepted(9.0)
    gate.refused(20.0, 20.0, None)
    assert gate.wait(20.0) >= 1.0


def test_a_success_between_two_refusals_ends_the_row_however_late_it_is_known() -> None:
    gate = gate_of()
    gate.refused(10.0, 10.0, None)
    gate.refused(20.0, 20.0, None)
    gate.accepted(15.0)  # it took long: the gate has closed again since it was sent
    gate.refused(30.0, 30.0, None)
    assert 1.0 <= gate.wait(30.0) <= 2.0


def test_after_the_second_refusal_in_a_row_one_goes_first() -> None:
    gate = gate_of(first=0.0, most=0.0)
    gate.refused(0.0, 0.0, 1.0)
    gate.refused(2.0, 2.0, 1.0)
    gate.passed(3.0)
    assert gate.wait(3.0) == 1.0
    assert gate.wait(4.0) == 0.0
    gate.accepted(3.0)
    assert gate.wait(3.5) == 0.0


@given(st.lists(st.tuples(st.floats(0.0, 50.0), st.none() | st.floats(0.0, 50.0)), max_size=20))
def test_the_time_it_was_closed_adds_up(refusals: list[tuple[float, float | None]]) -> None:
    gate, now, closed = gate_of(), 0.0, 0.0
    for gap, asked in refusals:
        closed += min(gap, max(0.0, gate.wait(now)))
        now += gap
        assert abs(gate.closed_seconds(now) - closed) < 1e-6
        gate.refused(now, now, asked)
