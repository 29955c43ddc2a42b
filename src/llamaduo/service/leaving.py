"""Waits that end when the run must: for a turn, for a batch, before another attempt.

Such a wait may be a day long, and what is waited for is bought by the next life of the run, or was
submitted by this one and is collected by the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from llamaduo.errors import ServiceUnavailable


class Leaving:
    """The waits of all calls to one service LLM. Belongs to one event loop."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._left = False
        self._waits: set[asyncio.Timeout] = set()

    def leave(self) -> None:
        """End every wait, and let none begin."""
        if not self._left:
            self._left = True
            now = asyncio.get_running_loop().time()
            for wait in self._waits:
                wait.reschedule(now)

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """The block waits, and does nothing that must not be broken off.

        Raises:
            ServiceUnavailable: it was left.
        """
        if self._left:
            raise self._not_asked()
        try:
            async with asyncio.timeout(None) as wait:
                self._waits.add(wait)
                try:
                    yield
                finally:
                    self._waits.discard(wait)
        except TimeoutError:
            if wait.expired():
                raise self._not_asked() from None
            raise

    def _not_asked(self) -> ServiceUnavailable:
        return ServiceUnavailable(
            f"{self._model} was asked no further, because another call has ended the stage.",
            hint="Run again to resume; nothing is bought twice.",
        )
