"""The ledger of paid calls: what was asked, what came back, what it cost.

One row is one attempt. Its life: ``sent`` (durable before anything leaves the machine), then
``answered`` (the raw reply is durable before anyone parses it) or ``failed`` (with the body, if
there was one). A row that stays ``sent`` after its process has died is *in doubt*: the provider
may have charged for it. An answered key is never sent again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from llamaduo.records import Event, Notify, silent
from llamaduo.service.budget import Holds
from llamaduo.storage.journal import Journal, Row, read_rows

_SCHEMA = (
    """
    CREATE TABLE attempts (
      key TEXT NOT NULL,           -- sha256 of request
      attempt INTEGER NOT NULL,    -- from 1
      stage TEXT NOT NULL,
      model TEXT NOT NULL,         -- as configured
      state TEXT NOT NULL CHECK (state IN ('sent', 'answered', 'failed')),
      request TEXT NOT NULL,       -- canonical JSON; no header, no key, no address
      held_usd REAL NOT NULL,      -- what it counts against the budget
      status INTEGER,              -- HTTP status of the reply
      content_type TEXT,
      reply BLOB,                  -- the raw body
      error TEXT,                  -- why it failed
      snapshot TEXT,               -- the model that the reply names; set once it was read
      input_tokens INTEGER,
      output_tokens INTEGER,
      usd REAL,                    -- NULL when no price is known
      sent_at TEXT NOT NULL,
      ended_at TEXT,
      PRIMARY KEY (key, attempt)
    );
    CREATE UNIQUE INDEX one_answer ON attempts (key) WHERE state = 'answered'
    """,
)
_INTEND = """
    INSERT INTO attempts (key, attempt, stage, model, state, request, held_usd, sent_at)
    SELECT :key, COALESCE(MAX(attempt), 0) + 1, :stage, :model, 'sent', :request, :held, :now
    FROM attempts WHERE key = :key RETURNING attempt"""
_ANSWER = """
    UPDATE attempts SET state = 'answered', status = ?, content_type = ?, reply = ?, ended_at = ?
    WHERE key = ? AND attempt = ?"""
_FAIL = """
    UPDATE attempts SET state = 'failed', status = COALESCE(?, status),
    content_type = COALESCE(?, content_type), reply = COALESCE(?, reply), error = ?,
    held_usd = ?, ended_at = ? WHERE key = ? AND attempt = ?"""
_SETTLE = """
    UPDATE attempts SET snapshot = ?, input_tokens = ?, output_tokens = ?, usd = ?, held_usd = ?
    WHERE key = ? AND attempt = ?"""
_FIND = """
    SELECT attempt, held_usd, status, content_type, reply, snapshot IS NOT NULL
    FROM attempts WHERE key = ? AND state = 'answered'"""
AFTER_THE_LOOP = "parity"
"""The stage whose calls are made when the loop has ended."""
LOOP_USD = f"SELECT COALESCE(SUM(usd), 0.0) FROM attempts WHERE stage <> '{AFTER_THE_LOOP}'"  # noqa: S608 - our own constant
SPEND = """
    SELECT stage, model, SUM(state = 'answered'), SUM(state = 'sent'), SUM(state = 'failed'),
    COALESCE(SUM(input_tokens), 0), COALESCE(SUM(output_tokens), 0), COALESCE(SUM(usd), 0.0),
    SUM(state = 'answered' AND snapshot IS NOT NULL AND usd IS NULL) = 0
    FROM attempts GROUP BY stage, model ORDER BY MIN(rowid)"""


@dataclass(frozen=True, slots=True)
class RawReply:
    """An HTTP reply as it came, decompressed; ``body`` never holds the API key."""

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Attempt:
    """One row of the ledger. ``held_usd`` is what it counts against the budget so far."""

    key: str
    number: int
    held_usd: float


@dataclass(frozen=True, slots=True)
class Answered:
    """A stored answer. ``settled`` is False when the process died before it was read."""

    attempt: Attempt
    raw: RawReply
    settled: bool


@dataclass(frozen=True, slots=True)
class Cost:
    """What an answer says it used. ``usd`` is None when no price is known."""

    snapshot: str
    input_tokens: int
    output_tokens: int
    usd: float | None


@dataclass(frozen=True, slots=True)
class SpendRow:
    """The calls of one stage to one model.

    ``in_doubt`` counts attempts whose answer never arrived, or has not yet: they may have been
    charged and are in no sum. ``priced`` is False when answers without a known price count as 0.
    """

    stage: str
    model: str
    answered: int
    in_doubt: int
    failed: int
    input_tokens: int
    output_tokens: int
    usd: float
    priced: bool = True


class Ledger:
    """An open ledger. Reports each durable row as an event of the stage ``ledger``: units
    ``intent``, ``answer`` and ``failure``, counted from the moment it was opened."""

    def __init__(self, journal: Journal, notify: Notify = silent) -> None:
        self._journal = journal
        self._notify = notify
        self._counts: Counter[str] = Counter()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        held = self._rows("SELECT COALESCE(SUM(held_usd), 0.0) FROM attempts")[0][0]
        self._holds = Holds(float(held))

    @classmethod
    def open(cls, path: Path, notify: Notify = silent) -> Ledger:
        """Open or create the ledger at ``path``.

        Raises:
            RunLocked: another process is writing to it.
            RunError: it is not a ledger, is of a newer version, or cannot be opened.
        """
        return cls(Journal.open(path, _SCHEMA), notify)

    def close(self) -> None:
        """Write what waits, then close the file."""
        self._journal.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

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

    # --- the life of one call -------------------------------------------------------------

    def turn(self, key: str) -> asyncio.Lock:
        """Held while ``key`` is asked, so that two askers of one question pay once."""
        return self._turns.setdefault(key, asyncio.Lock())

    async def find(self, key: str) -> Answered | None:
        """The stored answer to ``key``."""
        rows = await self._execute("", _FIND, (key,))
        if not rows:
            return None
        number, held, status, content_type, body, settled = rows[0]
        return Answered(
            Attempt(key, number, held), RawReply(status, content_type, body), bool(settled)
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
    ) -> AsyncIterator[Attempt]:
        """Record that ``request`` is about to be sent and may cost up to ``most_usd``; the
        block sends it. Waits while only calls in flight keep it from fitting the budget. What
        the block neither settles nor fails is in doubt.

        Raises:
            BudgetExceeded: with what is spent and in doubt, it could overshoot.
        """
        async with self._holds.hold(model, most_usd, budget_usd):
            values = {
                "key": key, "stage": stage, "model": model, "request": request,
                "held": most_usd, "now": _now(),
            }  # fmt: skip
            rows = await self._execute("intent", _INTEND, values, detail=stage)
            yield Attempt(key, rows[0][0], most_usd)

    async def answer(self, attempt: Attempt, raw: RawReply) -> None:
        """Record a successful raw reply, before anyone reads it."""
        values = (raw.status, raw.content_type, raw.body, _now(), attempt.key, attempt.number)
        await self._execute("answer", _ANSWER, values)

    async def fail(
        self, attempt: Attempt, error: str, *, raw: RawReply | None = None, charged: bool
    ) -> None:
        """Record that the attempt brought nothing usable; ``charged`` if it may cost anyway."""
        held = attempt.held_usd if charged else 0.0
        self._holds.correct(held - attempt.held_usd)
        reply = (raw.status, raw.content_type, raw.body) if raw else (None, None, None)
        values = (*reply, error, held, _now(), attempt.key, attempt.number)
        await self._execute("failure", _FAIL, values, detail=error)

    async def settle(self, attempt: Attempt, cost: Cost) -> None:
        """Record what an answer used, once it has been read."""
        held = cost.usd or 0.0
        self._holds.correct(held - attempt.held_usd)
        used = (cost.snapshot, cost.input_tokens, cost.output_tokens, cost.usd)
        await self._execute("", _SETTLE, (*used, held, attempt.key, attempt.number))

    # --- the journal ----------------------------------------------------------------------

    async def _execute(self, unit: str, sql: str, values: Any, *, detail: str = "") -> list[Row]:
        """Run one statement and report it. Once begun it is carried through, cancelled or not:
        a paid reply must not be lost because another task failed."""
        rows = await asyncio.shield(asyncio.wrap_future(self._journal.execute(sql, values)))
        if unit:
            self._counts[unit] += 1
            self._notify(Event("ledger", self._counts[unit], None, unit, detail))
        return rows

    def _rows(self, sql: str) -> list[Row]:
        return self._journal.execute(sql).result()


def read_spend(path: Path) -> tuple[SpendRow, ...]:
    """:meth:`Ledger.spend` of a ledger that another process may own; empty if there is none.

    Raises:
        RunError: the file is not a ledger.
    """
    return spend_rows(read_rows(path, SPEND)) if path.is_file() else ()


def spend_rows(rows: Iterable[Row]) -> tuple[SpendRow, ...]:
    return tuple(replace(SpendRow(*row), priced=bool(row[-1])) for row in rows)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
