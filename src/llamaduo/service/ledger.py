"""The ledger of paid calls: what was asked, what came back, what it cost.

One row is one attempt. Its life: ``sent`` (durable before anything leaves the machine), then
``answered`` (the raw reply is durable before anyone parses it) or ``failed`` (with the body, if
there was one). A row that stays ``sent`` after its process has died is *in doubt*: the provider
may have charged for it. An answered key is never sent again.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from llamaduo.records import Event, Notify, silent
from llamaduo.service.budget import Hold, Holds
from llamaduo.service.entries import Answered, Attempt, Cost, History, RawReply, Sent
from llamaduo.service.ledger_schema import SCHEMA
from llamaduo.service.spending import (
    AFTER_THE_LOOP,
    LOOP_USD,
    SPEND,
    SpendRow,
    read_spend,
    spend_rows,
)
from llamaduo.storage.journal import Journal, Row

__all__ = [
    "AFTER_THE_LOOP",
    "Answered",
    "Attempt",
    "Cost",
    "History",
    "Ledger",
    "RawReply",
    "Sent",
    "SpendRow",
    "read_spend",
]

_INTEND = """
    INSERT INTO attempts (key, attempt, stage, model, state, request, held_usd, sent_at,
      host, pairs, batch, instead_of)
    SELECT :key, COALESCE(MAX(attempt), 0) + 1, :stage, :model, 'sent', :request, :held, :now,
      :host, :pairs, :batch, :instead_of
    FROM attempts WHERE key = :key RETURNING attempt"""
_ANSWER = """
    UPDATE attempts SET state = 'answered', status = ?, content_type = ?, reply = ?, ended_at = ?,
    host = COALESCE(?, host), bytes_out = COALESCE(?, bytes_out)
    WHERE key = ? AND attempt = ?"""
_FAIL = """
    UPDATE attempts SET state = 'failed', status = COALESCE(?, status),
    content_type = COALESCE(?, content_type), reply = COALESCE(?, reply), error = ?,
    held_usd = ?, charged = ?, ended_at = ?, host = COALESCE(?, host),
    bytes_out = COALESCE(?, bytes_out) WHERE key = ? AND attempt = ?"""
_SETTLE = """
    UPDATE attempts SET snapshot = ?, input_tokens = ?, output_tokens = ?, cached_tokens = ?,
    usd = ?, held_usd = ? WHERE key = ? AND attempt = ?"""
_SEEN = """
    INSERT INTO models (model, resolved, how, seen_at) VALUES (?, ?, 'replied', ?)
    ON CONFLICT (model, resolved) DO UPDATE SET how = 'replied'"""
_LISTED = """
    INSERT INTO models (model, resolved, how, seen_at) VALUES (?, ?, 'listed', ?)
    ON CONFLICT (model, resolved) DO NOTHING"""
_CONTROL = """
    INSERT INTO controls (purpose, host, bytes_out, pairs, sent_at) VALUES (?, ?, ?, ?, ?)"""
_FIND = """
    SELECT state, status, attempt, held_usd, content_type, snapshot IS NOT NULL,
    CASE state WHEN 'answered' THEN reply END, model, batch IS NOT NULL
    FROM attempts WHERE key = ? ORDER BY attempt"""


class Ledger:
    """An open ledger. Reports each durable row as an event of the stage ``ledger``: units
    ``intent``, ``answer`` and ``failure``, counted from the moment it was opened."""

    def __init__(self, journal: Journal, notify: Notify = silent) -> None:
        self._journal = journal
        self._notify = notify
        self._counts: Counter[str] = Counter()
        self.in_care: set[str] = set()
        """The batches that somebody in this process looks after."""
        self._seen: set[tuple[str, str]] = set()
        self._topics: set[str] = set()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._asked = {hash(key) for (key,) in self._rows("SELECT DISTINCT key FROM attempts")}
        """Of every key that has rows, so that a new question costs no look at the disk. Two keys
        with one hash cost a look in vain."""
        held = self._rows("SELECT COALESCE(SUM(held_usd), 0.0) FROM attempts")[0][0]
        self._holds = Holds(float(held))

    @classmethod
    def open(cls, path: Path, notify: Notify = silent) -> Ledger:
        """Open or create the ledger at ``path``.

        Raises:
            RunLocked: another process is writing to it.
            RunError: it is not a ledger, is of a newer version, or cannot be opened.
        """
        return cls(Journal.open(path, SCHEMA), notify)

    def close(self) -> None:
        """Write what waits, then close the file."""
        self._journal.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def journal(self) -> Journal:
        """Where its rows are, for what is not about a single call."""
        return self._journal

    @property
    def notify(self) -> Notify:
        """Who hears what happens."""
        return self._notify

    # --- figures --------------------------------------------------------------------------

    def spend(self) -> tuple[SpendRow, ...]:
        """What was spent, by stage and model, in the order in which they first called."""
        return spend_rows(self._rows(SPEND))

    def loop_usd(self) -> float:
        """What the loop has spent, in US dollars: the price of all answers but those that came
        after its verdict (:data:`AFTER_THE_LOOP`), which must not change what it says."""
        return float(self._rows(LOOP_USD)[0][0])

    def snapshots(self) -> dict[str, tuple[str, ...]]:
        """For each configured model, the model names that its replies carried, oldest first."""
        found: dict[str, tuple[str, ...]] = {}
        for model, snapshot in self._rows(
            "SELECT model, snapshot FROM attempts WHERE snapshot IS NOT NULL"
            " GROUP BY model, snapshot ORDER BY MIN(rowid)"
        ):
            found[model] = (*found.get(model, ()), snapshot)
        return found

    # --- what is said once ----------------------------------------------------------------

    def first_time(self, topic: str) -> bool:
        """Whether ``topic`` comes up for the first time since the ledger was opened."""
        new = topic not in self._topics
        self._topics.add(topic)
        return new

    def warn(self, text: str) -> None:
        """Tell the user ``text``, once."""
        if self.first_time(text):
            self._notify(Event("service", 0, None, "warning", text))

    # --- the life of one call -------------------------------------------------------------

    def turn(self, key: str) -> asyncio.Lock:
        """Held while ``key`` is asked, so that two askers of one question pay once."""
        return self._turns.setdefault(key, asyncio.Lock())

    async def find(self, key: str) -> History:
        """The stored answer to ``key``, if there is one, and what it took so far."""
        rows = await self._execute("", _FIND, (key,)) if hash(key) in self._asked else []
        states = [(state, 200 <= (status or 0) < 300) for state, status, *_ in rows]
        return History(
            next((_answered(key, row) for row in rows if row[0] == "answered"), None),
            spoiled=states.count(("failed", True)),
            in_doubt=sum(state == "sent" for state, _ in states),
        )

    @asynccontextmanager
    async def attempt(
        self,
        key: str,
        *,
        stage: str,
        model: str,
        request: str,
        most_usd: float,
        budget_usd: float | None,
        host: str | None = None,
        pairs: Sequence[str] = (),
        batch: str | None = None,
        instead_of: str | None = None,
        trusted: bool = False,
    ) -> AsyncIterator[Attempt]:
        """Record that ``request`` is about to be sent and may cost up to ``most_usd``; the
        block sends it. Waits while only calls in flight keep it from fitting the budget. What
        the block neither settles nor fails is in doubt.

        ``pairs`` has the ids of the pairs whose text is in it, ``batch`` the batch that it goes
        with, ``instead_of`` the key whose answer was of no use. ``trusted``: see
        :mod:`llamaduo.service.budget`.

        Raises:
            BudgetExceeded: with what is spent and in doubt, it could overshoot.
        """
        holding = self._holds.hold(model, most_usd, budget_usd, trusted=trusted)
        async with holding as held:
            values = {
                "key": key, "stage": stage, "model": model, "request": request,
                "held": held.usd, "now": _now(), "host": host, "batch": batch,
                "pairs": json.dumps(list(pairs)) if pairs else None, "instead_of": instead_of,
            }  # fmt: skip
            self._asked.add(hash(key))
            rows = await self._execute("intent", _INTEND, values, detail=stage)
            yield Attempt(key, rows[0][0], held.usd, model, held.factor)

    def rejoin(self) -> AbstractContextManager[None]:
        """An attempt of an earlier life is in flight again while the block lasts: a call that
        does not fit the budget beside it waits for it."""
        return self._holds.rejoin()

    async def answer(self, attempt: Attempt, raw: RawReply, sent: Sent | None = None) -> None:
        """Record a successful raw reply, before anyone reads it."""
        reply = (raw.status, raw.content_type, raw.body)
        values = (*reply, _now(), *_left(sent), attempt.key, attempt.number)
        await self._execute("answer", _ANSWER, values)

    async def fail(
        self,
        attempt: Attempt,
        error: str,
        *,
        raw: RawReply | None = None,
        charged: bool,
        sent: Sent | None = None,
    ) -> None:
        """Record that the attempt brought nothing usable; ``charged`` if it may cost anyway."""
        held = attempt.held_usd if charged else 0.0
        self._holds.correct(held - attempt.held_usd)
        reply = (raw.status, raw.content_type, raw.body) if raw else (None, None, None)
        values = (*reply, error, held, charged, _now(), *_left(sent), attempt.key, attempt.number)
        await self._execute("failure", _FAIL, values, detail=error)

    async def settle(self, attempt: Attempt, cost: Cost) -> None:
        """Record what an answer used, once it has been read."""
        held = (cost.usd or 0.0) if cost.measured else attempt.held_usd
        self._holds.settle(attempt.model, Hold(attempt.held_usd, attempt.factor), held)
        used = (cost.snapshot, cost.input_tokens, cost.output_tokens, cost.cached_tokens)
        values = (*used, cost.usd, held, attempt.key, attempt.number)
        await self._execute("", _SETTLE, values)
        await self._see(attempt.model, cost.snapshot)

    async def control(self, purpose: str, sent: Sent, pairs: Sequence[str] = ()) -> None:
        """Record a request that asks no question and costs nothing, before it leaves."""
        ids = json.dumps(list(pairs)) if pairs else None
        await self._execute("", _CONTROL, (purpose, sent.host, sent.bytes_out, ids, _now()))

    async def listed(self, model: str, resolved: str) -> None:
        """Record what the provider says that ``model`` stands for."""
        await self._execute("", _LISTED, (model, resolved, _now()))

    def resolved(self, model: str) -> tuple[str, ...]:
        """What ``model`` has stood for in this run, oldest first."""
        sql = "SELECT resolved FROM models WHERE model = ? ORDER BY rowid"
        return tuple(row[0] for row in self._journal.execute(sql, (model,)).result())

    async def _see(self, model: str, snapshot: str) -> None:
        """Keep which model a reply named, once for each."""
        if (model, snapshot) not in self._seen:
            self._seen.add((model, snapshot))
            await self._execute("", _SEEN, (model, snapshot, _now()))

    # --- the journal ----------------------------------------------------------------------

    async def _execute(self, unit: str, sql: str, values: Any, *, detail: str = "") -> list[Row]:
        """Run one statement and report it. Once begun it is carried through, cancelled or not:
        a paid reply must not be lost because another task failed."""
        rows = await self._journal.ask(sql, values)
        if unit:
            self._counts[unit] += 1
            self._notify(Event("ledger", self._counts[unit], None, unit, detail))
        return rows

    def _rows(self, sql: str) -> list[Row]:
        return self._journal.execute(sql).result()


def _answered(key: str, row: Row) -> Answered:
    _, status, number, held, content_type, settled, body = row[:7]
    attempt = Attempt(key, number, held, row[7])
    return Answered(attempt, RawReply(status, content_type, body), bool(settled), bool(row[8]))


def _left(sent: Sent | None) -> tuple[str | None, int | None]:
    return (sent.host, sent.bytes_out) if sent else (None, None)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
