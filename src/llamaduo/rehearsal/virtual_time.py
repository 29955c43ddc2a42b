"""An event loop whose time passes only when everyone waits: an hour of pacing in a second."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")

START = 1_760_000_000.0
"""Where the wall clock stands when virtual time begins, in seconds since 1970."""


class _Skipping(selectors.SelectSelector):
    """Where the loop would sleep, it moves its clock instead. Sockets are only polled."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            raise RuntimeError("everyone waits, and nothing will ever happen")
        self.now += max(timeout, 0.0)
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """For code that waits for timers and for itself; the outside world has no part in it."""

    def __init__(self) -> None:
        self._clock = _Skipping()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now

    def wall(self) -> float:
        """The same, in seconds since 1970."""
        return START + self.time()


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Run ``main`` in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
