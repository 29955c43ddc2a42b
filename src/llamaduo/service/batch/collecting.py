"""Waiting for a batch, for as long as it takes, and fetching how its requests ended."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from llamaduo.errors import ServiceUnavailable
from llamaduo.records import Event, Notify
from llamaduo.service import address
from llamaduo.service.batch.desk import Desk, Look, refused
from llamaduo.service.batch.outcomes import Outcome
from llamaduo.service.batch.trouble import Trouble, at_the_desk
from llamaduo.service.settings import ServiceSettings

Found = TypeVar("Found")


class Gone(Exception):
    """The provider no longer has the batch, or what came of it."""


class Collecting:
    """Looks at batches until they have ended. No error on the way loses one."""

    def __init__(self, settings: ServiceSettings, desk: Desk, notify: Notify) -> None:
        self._settings = settings
        self._desk = desk
        self._notify = notify

    async def wait(self, batch: str, at_provider: str, requests: int) -> Look:
        """The provider's last word on ``at_provider``, which has our id ``batch``.

        Raises:
            Gone: the provider does not know of it.
            ServiceRefused: it will not say.
            ServiceUnavailable: it could not be reached for as long as the deadline. The batch
                stays with it.
        """
        while True:
            look = await self.patiently(lambda: self._desk.look(at_provider))
            self._report(batch, look, requests)
            if look.ended:
                return look
            await asyncio.sleep(self.pause())

    async def outcomes(self, look: Look) -> dict[str, Outcome]:
        """How the requests of an ended batch ended; raises as :meth:`wait` does."""
        return await self.patiently(lambda: self._desk.outcomes(look))

    async def patiently(self, call: Callable[[], Awaitable[Found]]) -> Found:
        """The result of ``call``, made again until it has one; raises as :meth:`wait` does."""
        clock = asyncio.get_running_loop().time
        began = clock()
        while True:
            try:
                return await at_the_desk(self._desk.errors, call)
            except Trouble as trouble:
                if trouble.is_absence:
                    raise Gone(trouble.what) from trouble
                if trouble.is_final:
                    raise refused(self._settings.model, trouble.what) from trouble
                if clock() - began > self._settings.deadline_seconds:
                    raise self._unavailable(trouble) from trouble
            await asyncio.sleep(self.pause())

    def pause(self) -> float:
        """Seconds between two looks, with jitter: other runs look too."""
        return self._settings.batch.poll_seconds * random.uniform(0.8, 1.2)

    def _report(self, batch: str, look: Look, requests: int) -> None:
        age = _in_words(datetime.now(UTC) - look.created_at)
        done = requests if look.ended else (look.done or 0)
        so_far = "ended" if look.ended else "under way"
        if look.done is not None and not look.ended:
            so_far = f"{look.done:,} of {requests:,} done"
        detail = f"batch {batch[:6]}: {so_far}, submitted {age} ago"
        self._notify(Event(f"batch {batch[:6]}", done, requests, "requests", detail))

    def _unavailable(self, trouble: Trouble) -> ServiceUnavailable:
        return ServiceUnavailable(
            f"{self._settings.model} at {address.host(self._settings)} has not said for"
            f" {self._settings.deadline_seconds:g} s how its batches do ({trouble.what}).",
            hint="Run again to collect them; nothing is bought twice.",
        )


def _in_words(age: timedelta) -> str:
    minutes = max(0, int(age.total_seconds() // 60))
    if minutes >= 120:
        return f"{minutes // 60} h"
    return f"{minutes} min" if minutes else "less than a minute"
