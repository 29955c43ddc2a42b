"""Now and then a word about a service LLM that does not answer: half an hour of silence would
look like a process that hangs."""

from __future__ import annotations

import asyncio

from llamaduo.records import Event
from llamaduo.service.ledger import Ledger
from llamaduo.service.setbacks import Setback, in_trouble
from llamaduo.service.settings import ServiceSettings

EVERY_SECONDS = 300.0
MANY_FAILURES = 4
"""In a row, of one call. Fewer are an ordinary day."""
LONG_WAIT_SECONDS = 60.0


class Telling:
    """Tells the user of the trouble of all calls to one service LLM. Belongs to one event loop."""

    def __init__(self, settings: ServiceSettings, ledger: Ledger) -> None:
        self._settings = settings
        self._ledger = ledger
        self._again_at = 0.0

    def tell(self, failed: int, last: Setback) -> None:
        """A call has failed ``failed`` times in a row, and will be tried again."""
        now = asyncio.get_running_loop().time()
        serious = failed >= MANY_FAILURES or (last.retry_after or 0.0) >= LONG_WAIT_SECONDS
        if serious and now >= self._again_at:
            self._again_at = now + EVERY_SECONDS
            text = in_trouble(self._settings, last)
            self._ledger.notify(Event("service", 0, None, "warning", text))
