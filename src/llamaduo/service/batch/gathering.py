"""Questions on their way into a batch: gathered until nothing more comes, or no more fit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llamaduo.service.ledger import Attempt, RawReply
from llamaduo.service.setbacks import Setback

if TYPE_CHECKING:
    from pydantic_ai.models.batch import EncodedBatchRequest

Delivery = RawReply | Setback | None
"""What became of a question: its reply, what kept it from being answered, or None: it is not
asked in a batch."""


@dataclass(slots=True)
class Seat:
    """A question that waits for its batch. ``size`` is its bytes there."""

    attempt: Attempt
    encoded: EncodedBatchRequest
    size: int
    pairs: tuple[str, ...]
    delivery: asyncio.Future[Delivery] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Gathering:
    """Hands groups of seats to ``depart``: when ``most`` seats or ``most_bytes`` are reached,
    else when nothing has been added for ``quiet`` seconds."""

    def __init__(
        self, depart: Callable[[list[Seat]], None], *, most: int, most_bytes: int, quiet: float
    ) -> None:
        self.most = most
        self._depart = depart
        self._most_bytes = most_bytes
        self._quiet = quiet
        self._seats: list[Seat] = []
        self._bytes = 0
        self._added = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, seat: Seat) -> None:
        """Take ``seat`` into the group that is gathering, or into a new one if that is full."""
        if self._seats and self._bytes + seat.size > self._most_bytes:
            self._go()
        self._seats.append(seat)
        self._bytes += seat.size
        loop = asyncio.get_running_loop()
        self._added = loop.time()
        if len(self._seats) >= self.most:
            self._go()
        elif self._timer is None:
            self._timer = loop.call_later(self._quiet, self._look)

    def close(self) -> None:
        """Gather no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        """One timer for many seats: it looks when the last came, and waits on if need be."""
        loop = asyncio.get_running_loop()
        left = self._added + self._quiet - loop.time()
        if left > 0:
            self._timer = loop.call_later(left, self._look)
        else:
            self._go()

    def _go(self) -> None:
        self.close()
        seats = [seat for seat in self._seats if not seat.delivery.done()]
        self._seats, self._bytes = [], 0
        if seats:
            self._depart(seats)
