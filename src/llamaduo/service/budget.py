"""Money set aside for calls, so that all of them together cannot pass a budget.

What a call may cost is *held* before it is sent, and corrected to what it did cost once that is
known. A hold is far above the real cost, so a call that only fails to fit because of calls in
flight waits for them: where a run ends does not depend on how many calls it had in flight.

A hold is the most that a call can cost only at a service that keeps to the limit on reply
length. Whether one does is seen from its replies. Until the first of a model has come, its calls
in flight are taken to cost :data:`UNPROVEN` times their holds, unless one is alone. A reply that
cost more than was held raises the holds of that model by as much, in flight and to come. So the
budget can be passed only by calls that cost more beyond their limits than any before them: by
the first of a model, sent alone, or by those in flight when a service changes its habits. What
such a service charged for a call whose reply was lost is not known, and counts as it was held.
Calls gathered for a batch are ``trusted``: no first reply comes before all of them are sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from llamaduo.errors import BudgetExceeded

UNPROVEN = 8.0
"""How much dearer than its hold a call is taken to be, beside others, by a model of which no
reply has come yet."""


@dataclass(frozen=True, slots=True)
class Hold:
    """``usd`` is held for a call that should cost at most ``usd / factor``."""

    usd: float
    factor: float = 1.0


@dataclass(slots=True)
class _Open:
    """The calls of one model that are in flight: the most that they should cost, and what is
    held for them."""

    calls: int = 0
    most_usd: float = 0.0
    held_usd: float = 0.0


class Holds:
    """US dollars spent, in doubt and in flight, of one ledger. Belongs to one event loop."""

    def __init__(self, usd: float) -> None:
        self._usd = usd
        self._open: dict[str, _Open] = {}
        self._rejoined = 0
        self._factors: dict[str, float] = {}
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def hold(
        self, model: str, usd: float, budget_usd: float | None, *, trusted: bool = False
    ) -> AsyncIterator[Hold]:
        """In flight while the block lasts. What was not settled or corrected by then stays held.

        Raises:
            BudgetExceeded: with nothing else in flight, ``usd`` could still overshoot.
        """
        if trusted:
            self._factors.setdefault(model, 1.0)
        taken = await self._make_room(model, usd, budget_usd)
        # No await since it was seen to fit, so nobody else has taken the room.
        self._usd += taken.usd
        self._count(model, 1, usd, taken.usd)
        try:
            yield taken
        finally:
            self._count(model, -1, -usd, -taken.usd)
            self._wake()

    @contextmanager
    def rejoin(self) -> Iterator[None]:
        """A call that was held for in an earlier life is in flight again while the block lasts."""
        self._rejoined += 1
        try:
            yield
        finally:
            self._rejoined -= 1
            self._wake()

    def settle(self, model: str, held: Hold, usd: float) -> None:
        """A reply of ``model`` has come, and its call cost ``usd``."""
        factor = usd / held.usd * held.factor if held.usd > 0 else 1.0
        self._factors[model] = max(1.0, self._factors.get(model, 1.0), factor)
        self.correct(usd - held.usd)

    def correct(self, by_usd: float) -> None:
        """What is held turned out to be ``by_usd`` too low (too high, if negative)."""
        self._usd += by_usd
        self._wake()

    async def _make_room(self, model: str, usd: float, budget_usd: float | None) -> Hold:
        while True:
            factor = self._factors.get(model, 1.0)
            if budget_usd is None or self._could_come_to(model, usd) <= budget_usd:
                return Hold(usd * factor, factor)
            if not self._open and not self._rejoined:
                raise self._exceeded(model, Hold(usd * factor, factor), budget_usd)
            await self._changed.wait()

    def _could_come_to(self, model: str, usd: float) -> float:
        """Everything, if a call to ``model`` of up to ``usd`` is sent now."""
        if not self._open:
            return self._usd + usd * self._factors.get(model, 1.0)
        missing = sum(
            max(0.0, one.most_usd * self._risk(name) - one.held_usd)
            for name, one in self._open.items()
        )
        return self._usd + missing + usd * self._risk(model)

    def _risk(self, model: str) -> float:
        return self._factors.get(model, UNPROVEN)

    def _count(self, model: str, calls: int, most_usd: float, held_usd: float) -> None:
        one = self._open.setdefault(model, _Open())
        one.calls += calls
        one.most_usd += most_usd
        one.held_usd += held_usd
        if not one.calls:
            del self._open[model]

    def _exceeded(self, model: str, wanted: Hold, budget_usd: float) -> BudgetExceeded:
        why = (
            f" ({wanted.factor:.1f} times what its limits allow, as one of its replies did)"
            if wanted.factor > 1
            else ""
        )
        return BudgetExceeded(
            f"The next call to {model} may cost ${wanted.usd:.4f}{why}; with ${self._usd:.4f}"
            f" spent or in doubt it could pass the budget of ${budget_usd:,g}."
            " It was not sent.",
            hint="Raise limits.budget_usd and run again to resume.",
        )

    def _wake(self) -> None:
        """Let everyone who waits look again; whoever waits from now on waits for the next."""
        self._changed.set()
        self._changed = asyncio.Event()
