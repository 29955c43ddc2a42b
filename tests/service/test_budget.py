"""Holds: never more than the budget, and never less than it allows."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.errors import BudgetExceeded
from llamaduo.service.budget import UNPROVEN, Hold, Holds


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
    draw, held, outcomes = Random(seed), 0.0, []

    async def call(holds: Holds, most: int, cost: int, end: str) -> None:
        nonlocal held
        async with holds.hold("m", most, budget) as hold:
            assert hold == Hold(most)
            held += most
            assert held <= budget
            for _ in range(draw.randint(0, 4)):
                await asyncio.sleep(0)
            if end == "settled":
                holds.settle("m", hold, min(cost, most))
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


def proven(usd: float) -> Holds:
    """Holds that have seen a reply of "m" that cost no more than was held."""
    holds = Holds(usd)
    holds.settle("m", Hold(0.0), 0.0)
    return holds


async def test_a_call_waits_for_money_in_flight_and_is_refused_when_there_is_none() -> None:
    holds = proven(0.5)
    async with holds.hold("m", 0.4, 1.0):
        waiting = asyncio.create_task(holds.hold("m", 0.2, 1.0).__aenter__())
        await asyncio.sleep(0)
        assert not waiting.done()
    with pytest.raises(BudgetExceeded, match=r"may cost \$0.2000; with \$0.9000"):
        await waiting


async def test_a_call_that_ends_in_an_error_or_is_cancelled_lets_others_look_again() -> None:
    holds = proven(0.0)
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


# --- a service that does not keep to the limit on reply length ------------------------------


class Paid:
    """A service that charges ``times`` the most that a call should cost, and its own record."""

    def __init__(self, holds: Holds, budget: float) -> None:
        self.holds, self.budget, self.charged = holds, budget, 0.0

    async def call(self, most: float, times: float, model: str = "m") -> None:
        async with self.holds.hold(model, most, self.budget) as hold:
            await asyncio.sleep(0)
            self.charged += most * times
            await asyncio.sleep(0)
            self.holds.settle(model, hold, most * times)


@given(
    budget=st.integers(10, 400),
    times=st.floats(1.0, UNPROVEN),
    calls=st.lists(st.integers(1, 10), min_size=1, max_size=60),
)
def test_one_reply_is_enough_to_learn_how_far_a_service_goes_beyond_its_limits(
    budget: int, times: float, calls: list[int]
) -> None:
    """All calls at once, each charged ``times`` its hold: the first alone can pass the budget,
    and only if it fits it by its hold."""

    async def run() -> float:
        paid = Paid(Holds(0.0), budget)
        await asyncio.gather(*(paid.call(most, times) for most in calls), return_exceptions=True)
        return paid.charged

    charged = asyncio.run(run())
    assert charged <= budget * (1 + 1e-9) or charged == calls[0] * times


async def test_a_reply_that_cost_more_than_was_held_raises_the_holds_that_follow() -> None:
    paid = Paid(Holds(0.0), 100.0)
    await paid.call(1.0, 0.5)
    async with paid.holds.hold("m", 1.0, 100.0) as hold:
        assert hold == Hold(1.0)
    await paid.call(1.0, 3.0)
    await paid.call(1.0, 2.0)
    async with paid.holds.hold("m", 1.0, 100.0) as hold:
        assert hold == Hold(3.0, 3.0)
    async with paid.holds.hold("another", 1.0, 100.0) as hold:
        assert hold == Hold(1.0)
    with pytest.raises(BudgetExceeded, match=r"\$150.0000 \(3.0 times what its limits allow"):
        await paid.call(50.0, 1.0)


async def test_until_a_model_has_answered_only_what_surely_fits_is_in_flight() -> None:
    holds, budget = Holds(0.0), 2 * UNPROVEN
    async with holds.hold("m", 1.0, budget) as first, holds.hold("m", 1.0, budget):
        waiting = asyncio.create_task(holds.hold("m", 1.0, budget).__aenter__())
        await asyncio.sleep(0)
        assert not waiting.done()
        holds.settle("m", first, 1.0)
        assert await waiting == Hold(1.0)


async def test_what_is_gathered_for_a_batch_is_trusted_before_there_is_a_reply() -> None:
    holds = Holds(0.0)
    async with holds.hold("m", 1.0, 2.0, trusted=True):
        second = asyncio.create_task(holds.hold("m", 1.0, 2.0, trusted=True).__aenter__())
        await asyncio.sleep(0)
        assert await second == Hold(1.0)


async def test_a_call_waits_for_one_of_an_earlier_life() -> None:
    holds = Holds(0.9)
    with holds.rejoin():
        waiting = asyncio.create_task(holds.hold("m", 0.2, 1.0).__aenter__())
        await asyncio.sleep(0)
        assert not waiting.done()
        holds.settle("m", Hold(0.9), 0.1)
    assert await waiting == Hold(0.2)
