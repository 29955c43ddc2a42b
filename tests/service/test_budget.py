"""Holds: never more than the budget, and never less than it allows."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.errors import BudgetExceeded
from llamaduo.service.budget import Holds


@given(
    budget=st.integers(0, 60),
    calls=st.lists(
        st.tuples(st.integers(1, 10), st.integers(0, 10), st.sampled_from(["settled", "lost"])),
        max_size=30,
    ),
    seed=st.integers(0, 9),
)
def test_what_is_held_never_passes_the_budget(
    budget: int, calls: list[tuple[int, int, str]], seed: int
) -> None:
    """Calls hold ``most`` and cost at most that; a lost one stays held for ever."""
    draw, held, outcomes = Random(seed), 0, []

    async def call(holds: Holds, most: int, cost: int, end: str) -> None:
        nonlocal held
        async with holds.hold("m", most, budget):
            held += most
            assert held <= budget
            for _ in range(draw.randint(0, 4)):
                await asyncio.sleep(0)
            if end == "settled":
                holds.correct(min(cost, most) - most)
                held += min(cost, most) - most

    async def run() -> None:
        holds = Holds(0)
        made = [call(holds, *one) for one in calls]
        outcomes.extend(await asyncio.gather(*made, return_exceptions=True))

    asyncio.run(run())
    assert held <= budget
    for outcome, (most, _, _) in zip(outcomes, calls, strict=True):
        assert outcome is None or isinstance(outcome, BudgetExceeded)
        assert outcome is None or held + most > budget  # it would still not fit


async def test_a_call_waits_for_money_in_flight_and_is_refused_when_there_is_none() -> None:
    holds = Holds(0.5)
    async with holds.hold("m", 0.4, 1.0):
        waiting = asyncio.create_task(holds.hold("m", 0.2, 1.0).__aenter__())
        await asyncio.sleep(0)
        assert not waiting.done()
    with pytest.raises(BudgetExceeded, match=r"may cost \$0.2000; with \$0.9000"):
        await waiting


async def test_a_call_that_ends_in_an_error_or_is_cancelled_lets_others_look_again() -> None:
    holds = Holds(0.0)
    begun = asyncio.Event()

    async def forever() -> None:
        async with holds.hold("m", 0.9, 1.0):
            begun.set()
            await asyncio.Event().wait()

    call = asyncio.create_task(forever())
    await begun.wait()
    waiting = asyncio.create_task(holds.hold("m", 0.9, 1.0).__aenter__())
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(BudgetExceeded):  # it may have been charged
        await waiting


async def test_a_call_that_is_cancelled_while_it_waits_holds_nothing() -> None:
    holds = Holds(0.0)
    async with holds.hold("m", 0.9, 1.0):
        waiting = asyncio.create_task(holds.hold("m", 0.9, 1.0).__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        holds.correct(-0.9)
    async with holds.hold("m", 1.0, 1.0):
        pass
