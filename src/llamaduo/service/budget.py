"""Money set aside for calls, so that all of them together cannot pass a budget.

What a call may cost is *held* before it is sent, and corrected to what it did cost once that is
known. A hold is far above the real cost, so a call that only fails to fit because of calls in
flight waits for them: where a run ends does not depend on how many calls it had in flight.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from llamaduo.errors import BudgetExceeded


class Holds:
    """US dollars spent, in doubt and in flight, of one ledger. Belongs to one event loop."""

    def __init__(self, usd: float) -> None:
        self._usd = usd
        self._in_flight = 0
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def hold(self, model: str, usd: float, budget_usd: float | None) -> AsyncIterator[None]:
        """In flight while the block lasts. What was not corrected by then stays held.

        Raises:
            BudgetExceeded: with nothing else in flight, ``usd`` could still overshoot.
        """
        await self._make_room(model, usd, budget_usd)
        # No await since it was seen to fit, so nobody else has taken the room.
        self._usd += usd
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1
            self._wake()

    def correct(self, by_usd: float) -> None:
        """A hold turned out to be ``by_usd`` too low (too high, if negative)."""
        self._usd += by_usd
        self._wake()

    async def _make_room(self, model: str, usd: float, budget_usd: float | None) -> None:
        if budget_usd is None:
            return
        while self._usd + usd > budget_usd:
            if not self._in_flight:
                raise BudgetExceeded(
                    f"The next call to {model} may cost ${usd:.4f}; with ${self._usd:.4f}"
                    f" spent or in doubt it could pass the budget of ${budget_usd:.2f}."
                    " It was not sent.",
                    hint="Raise limits.budget_usd and run again to resume.",
                )
            await self._changed.wait()

    def _wake(self) -> None:
        """Let everyone who waits look again; whoever waits from now on waits for the next."""
        self._changed.set()
        self._changed = asyncio.Event()
