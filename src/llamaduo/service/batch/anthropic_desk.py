"""Anthropic's message batches: a list of requests goes in, results come out as JSON Lines.

Read from anthropic 2.12 and its API reference: ``/v1/messages/batches``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import httpx2
from anthropic import APIError

from llamaduo.service.batch.desk import Look, lines_of
from llamaduo.service.batch.outcomes import Outcome, anthropic_line, read_lines


class AnthropicDesk:
    """Follows :class:`~llamaduo.service.batch.desk.Desk`."""

    def __init__(self, model: Any) -> None:
        self.errors: tuple[type[Exception], ...] = (APIError,)
        self._client = model.client

    async def look(self, batch: str) -> Look:
        return _look(await self._client.beta.messages.batches.retrieve(batch))

    async def outcomes(self, look: Look) -> dict[str, Outcome]:
        # Not from the address that the batch names: the key goes to the configured host alone.
        found = await self._client.get(
            f"/v1/messages/batches/{look.id}/results?beta=true", cast_to=httpx2.Response
        )
        return read_lines(lines_of(await found.aread()), anthropic_line)

    async def recent(self, since: datetime) -> list[Look]:
        found = []
        async for batch in self._client.beta.messages.batches.list(limit=100):  # newest first
            look = _look(batch)
            if look.created_at < since:
                break
            found.append(look)
        return found

    async def holds(self, _look: Look, _custom_ids: frozenset[str]) -> bool | None:
        return None  # the API shows the requests of a batch in its results only

    async def forget(self, _look: Look) -> None:
        """Nothing was uploaded apart from the batch, which the user may want to look at."""


def _look(batch: Any) -> Look:
    counts = batch.request_counts
    done = counts.succeeded + counts.errored + counts.canceled + counts.expired
    ended = batch.processing_status == "ended"
    return Look(
        id=batch.id,
        created_at=batch.created_at,
        ended=ended,
        done=done if done or ended else None,  # it counts nothing before the whole batch ends
        total=done + counts.processing,
    )
