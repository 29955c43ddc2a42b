"""The connections to a provider: one for each call that is under way.

Each is a client of its own. A client with many connections looks at every idle one, twice a call
(httpcore2 asks the operating system whether it is still open), and while the ledger makes calls
durable most of them are idle: with 32 that took as much time as the ledger.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx2


class Wires:
    """At most ``most`` clients that ``connect`` made, each with one connection."""

    def __init__(self, connect: Callable[[httpx2.Limits], httpx2.AsyncClient], most: int) -> None:
        self._connect = connect
        self._places = asyncio.Semaphore(most)
        self._idle: list[httpx2.AsyncClient] = []

    @asynccontextmanager
    async def one(self) -> AsyncIterator[httpx2.AsyncClient]:
        """A client that nobody else uses meanwhile: the one that was used last, whose connection
        is the likeliest to be open still. Waits while there are no more."""
        async with self._places:
            wire = self._idle.pop() if self._idle else self._connect(_ONE)
            try:
                yield wire
            finally:
                self._idle.append(wire)

    async def aclose(self) -> None:
        """Close all connections. No call may be under way."""
        while self._idle:
            await self._idle.pop().aclose()


_ONE = httpx2.Limits(max_connections=1)
