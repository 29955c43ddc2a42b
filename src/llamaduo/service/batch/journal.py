"""Batches in the ledger: what is about to be submitted is durable before the provider sees it.

While it is gathered, a request's attempt carries the name of the gathering as its batch: one that
still does when the process has died was never sent. A row of ``batches`` is ``preparing`` with its
requests' attempts pointing at it, then ``submitted`` with the provider's handle, then ``ended``
when every outcome is in the ledger. One that the provider does not have, or no longer, is ``lost``.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from llamaduo.service.ledger import Attempt, Ledger
from llamaduo.storage.journal import Row

_PREPARE = """
    INSERT INTO batches (id, model, state, created_at) VALUES (?, ?, 'preparing', ?)"""
_ENLIST = """
    UPDATE attempts SET batch = ? FROM (
      SELECT json_extract(value, '$[0]') AS key, json_extract(value, '$[1]') AS attempt
      FROM json_each(?)) AS enlisted
    WHERE attempts.key = enlisted.key AND attempts.attempt = enlisted.attempt"""
_SUBMITTED = "UPDATE batches SET state = 'submitted', handle = ? WHERE id = ?"
_DISSOLVE = "UPDATE attempts SET batch = NULL WHERE batch = ?"
_RELEASE = """
    UPDATE attempts SET batch = NULL FROM (
      SELECT json_extract(value, '$[0]') AS key, json_extract(value, '$[1]') AS attempt
      FROM json_each(?)) AS released
    WHERE attempts.key = released.key AND attempts.attempt = released.attempt"""
_STRANDED = """
    SELECT key, attempt, held_usd, model, batch FROM attempts
    WHERE model = ? AND state = 'sent' AND batch LIKE 'gathering-%'"""
_CLOSE = "UPDATE batches SET state = ?, ended_at = ? WHERE id = ?"
_OPEN = """
    SELECT id, handle, created_at FROM batches
    WHERE model = ? AND state IN ('preparing', 'submitted') ORDER BY rowid"""
_WAITING = """
    SELECT key, attempt, held_usd, model FROM attempts WHERE batch = ? AND state = 'sent'
    ORDER BY rowid"""
_HANDLES = "SELECT handle FROM batches WHERE handle IS NOT NULL"


@dataclass(frozen=True, slots=True)
class OpenBatch:
    """A batch that an earlier life of the run left: its row, and the attempts without outcome.

    ``handle`` is None when that life ended before the provider's answer was recorded.
    """

    id: str
    handle: str | None
    created_at: datetime
    attempts: tuple[Attempt, ...]


class BatchJournal:
    """The batches of one model in ``ledger``. Every write is durable when it returns."""

    def __init__(self, ledger: Ledger, model: str) -> None:
        self._ledger = ledger
        self._model = model

    async def prepare(self, batch: str, attempts: Iterable[Attempt]) -> None:
        """Record that ``attempts`` are about to be submitted as ``batch``."""
        rows = _listed(attempts)
        now = datetime.now(UTC).isoformat()
        await asyncio.gather(
            self._write(_PREPARE, (batch, self._model, now)), self._write(_ENLIST, (batch, rows))
        )

    async def submitted(self, batch: str, handle: str) -> None:
        """Record the provider's answer."""
        await self._write(_SUBMITTED, (handle, batch))

    async def ended(self, batch: str) -> None:
        """Record that nothing more will come of ``batch``."""
        await self._write(_CLOSE, ("ended", datetime.now(UTC).isoformat(), batch))

    async def lost(self, batch: str) -> None:
        """Record that the provider does not have ``batch``."""
        await self._write(_CLOSE, ("lost", datetime.now(UTC).isoformat(), batch))

    async def release(self, attempts: Iterable[Attempt]) -> None:
        """Record that ``attempts`` go in no batch, and are ordinary calls."""
        await self._write(_RELEASE, (_listed(attempts),))

    async def clean(self) -> None:
        """Fail what an earlier life of the run was still gathering: it was never sent."""
        found = self._rows(_STRANDED, (self._model,))
        stranded = [Attempt(*row) for *row, batch in found if batch not in self._ledger.in_care]
        fails = (
            self._ledger.fail(one, "the run ended before it was sent", charged=False)
            for one in stranded
        )
        await asyncio.gather(*fails, self.release(stranded))

    async def dissolve(self, batch: str) -> None:
        """Record that ``batch`` was not to be, and that its attempts are ordinary calls."""
        await self._write(_DISSOLVE, (batch,))
        await self.lost(batch)

    def open(self) -> tuple[OpenBatch, ...]:
        """The batches that may be under way at the provider, and that nobody looks after."""
        return tuple(
            OpenBatch(id_, handle, datetime.fromisoformat(created), self._waiting(id_))
            for id_, handle, created in self._rows(_OPEN, (self._model,))
            if id_ not in self._ledger.in_care
        )

    def known(self) -> frozenset[str]:
        """The provider's ids of all batches of this run."""
        return frozenset(json.loads(handle)["id"] for (handle,) in self._rows(_HANDLES))

    def _waiting(self, batch: str) -> tuple[Attempt, ...]:
        return tuple(Attempt(*row) for row in self._rows(_WAITING, (batch,)))

    def _rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[Row]:
        return self._ledger.journal.execute(sql, values).result()

    async def _write(self, sql: str, values: tuple[Any, ...]) -> None:
        await asyncio.shield(asyncio.wrap_future(self._ledger.journal.execute(sql, values)))


def _listed(attempts: Iterable[Attempt]) -> str:
    return json.dumps([[one.key, one.number] for one in attempts])
