"""Bounded work, in order: results, limits, errors and cancellation."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.errors import BudgetExceeded, ServiceRefused
from llamaduo.service.lanes import Lane, work_through

lanes = st.lists(st.tuples(st.lists(st.integers(), max_size=12), st.integers(1, 5)), max_size=4)


@given(lanes, st.integers())
def test_results_come_in_order_and_no_lane_exceeds_its_limit(
    given_lanes: list[tuple[list[int], int]], seed: int
) -> None:
    random = Random(seed)
    running = [0] * len(given_lanes)

    async def work(item: tuple[int, int]) -> int:
        lane, value = item
        running[lane] += 1
        assert running[lane] <= given_lanes[lane][1]
        for _ in range(random.randrange(4)):
            await asyncio.sleep(0)
        running[lane] -= 1
        return value * 2

    tagged = [Lane([(i, v) for v in items], limit) for i, (items, limit) in enumerate(given_lanes)]
    doubled = [value * 2 for items, _ in given_lanes for value in items]
    assert asyncio.run(work_through(tagged, work)) == doubled


async def test_the_first_error_stops_every_lane_but_lets_what_is_in_flight_end() -> None:
    begun: list[str] = []
    ended: list[str] = []

    async def work(item: str) -> None:
        begun.append(item)
        await asyncio.sleep(0)
        if item == "a1":
            raise BudgetExceeded("first")
        if item == "b2":
            raise ServiceRefused("second")
        ended.append(item)

    with pytest.raises(BudgetExceeded, match="first"):
        await work_through([Lane(["a1", "a2"], 1), Lane(["b1", "b2", "b3"], 2)], work)
    assert begun == ["a1", "b1", "b2"]
    assert ended == ["b1"]


async def test_a_bug_is_not_taken_for_an_error_on_purpose() -> None:
    async def work(item: int) -> None:
        raise KeyError(item)

    with pytest.raises(ExceptionGroup) as caught:
        await work_through([Lane([1], 1)], work)
    assert isinstance(caught.value.exceptions[0], KeyError)


async def test_cancelling_the_caller_cancels_what_is_in_flight() -> None:
    cancelled: list[int] = []
    never = asyncio.Event()
    begun = asyncio.Event()

    async def work(item: int) -> None:
        begun.set()
        try:
            await never.wait()
        except asyncio.CancelledError:
            cancelled.append(item)
            raise

    task = asyncio.create_task(work_through([Lane([1, 2, 3], 2)], work))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(cancelled) == [1, 2]
