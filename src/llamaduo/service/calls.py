"""The ledger as others read it: every attempt as a record, whoever owns the run.

The owner's side is :mod:`llamaduo.service.ledger`. Here nothing is written and nothing is sent.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from types import NoneType
from typing import Any, Literal

from llamaduo.errors import RunError
from llamaduo.service.ledger_schema import readable
from llamaduo.service.spending import LOOP_USD, SPEND, SpendRow, spend_rows
from llamaduo.storage.snapshot import snapshot

State = Literal["sent", "answered", "failed"]


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One attempt, as the ledger has it. ``usd`` is None when no price was known; ``snapshot``
    and the tokens are None until the reply was read. ``bytes_out`` is the size of the request body
    that left for ``host``, ``pairs`` a JSON list of the ids of the pairs whose text was in it."""

    key: str
    attempt: int
    stage: str
    model: str
    state: State
    request: str
    status: int | None
    content_type: str | None
    reply: bytes | None
    error: str | None
    snapshot: str | None
    input_tokens: int | None
    output_tokens: int | None
    usd: float | None
    sent_at: str
    ended_at: str | None
    host: str | None = None
    bytes_out: int | None = None
    pairs: str | None = None
    batch: str | None = None
    cached_tokens: int | None = None
    instead_of: str | None = None

    @property
    def raw(self) -> str:
        """The raw reply as text; empty when there is none."""
        return (self.reply or b"").decode(errors="replace")

    def messages(self) -> list[tuple[str, str]]:
        """(role, content) of every message of the request; empty if the request is damaged."""
        try:
            found = json.loads(self.request)["messages"]
            return [(str(role), str(content)) for role, content in found]
        except (ValueError, LookupError, TypeError):
            return []


_COLUMNS = ", ".join(field.name for field in fields(CallRecord))
_ALL = f"SELECT {_COLUMNS} FROM attempts ORDER BY rowid"  # noqa: S608 - names of our own fields
_ANSWER = f"SELECT {_COLUMNS} FROM attempts WHERE key = ? AND state = 'answered'"  # noqa: S608
_OF_KEY = f"SELECT {_COLUMNS} FROM attempts WHERE key = ? ORDER BY attempt"  # noqa: S608
_SUM = "SELECT COALESCE(SUM(usd), 0.0) FROM attempts"


_KINDS: dict[str, tuple[type, ...]] = {
    "attempt": (int,),
    "status": (int, NoneType),
    "reply": (bytes, NoneType),
    "input_tokens": (int, NoneType),
    "output_tokens": (int, NoneType),
    "cached_tokens": (int, NoneType),
    "bytes_out": (int, NoneType),
    "usd": (float, int, NoneType),
} | dict.fromkeys(
    ("content_type", "error", "snapshot", "ended_at", "host", "pairs", "batch", "instead_of"),
    (str, NoneType),
)
"""What SQLite may hold in each column of ours; text in those that are not named."""


def _record(row: tuple[Any, ...]) -> CallRecord:
    """SQLite keeps any value in any column, so a row is believed only once it was looked at.

    Raises:
        RunError: it was changed or damaged.
    """
    values = dict(zip(CallRecord.__slots__, row, strict=True))
    if isinstance(values["reply"], str):
        values["reply"] = values["reply"].encode()
    for name, value in values.items():
        if not isinstance(value, _KINDS.get(name, (str,))):
            raise RunError(
                f"The ledger's call {str(values['key'])[:12]} is damaged: its {name} is"
                f" {value!r:.40}.",
                hint="Restore ledger.sqlite from a copy.",
            )
    return CallRecord(**values)


class Calls:
    """The attempts of one ledger. Get one from :func:`open_calls`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __iter__(self) -> Iterator[CallRecord]:
        """Every attempt, in the order in which they were made, one at a time."""
        return (_record(row) for row in self._connection.execute(_ALL))

    def __len__(self) -> int:
        return int(self._one("SELECT COUNT(*) FROM attempts"))

    def answer(self, key: str) -> CallRecord | None:
        """The attempt that answered ``key``."""
        row = self._connection.execute(_ANSWER, (key,)).fetchone()
        return None if row is None else _record(row)

    def attempts(self, key: str) -> tuple[CallRecord, ...]:
        """Every attempt at ``key``, the first one first."""
        return tuple(_record(row) for row in self._connection.execute(_OF_KEY, (key,)))

    def spend(self) -> tuple[SpendRow, ...]:
        """What was spent, by stage and model, in the order in which they first called."""
        return spend_rows(self._connection.execute(SPEND))

    def spent_usd(self) -> float:
        """The price of all answers, added up as the ledger's owner does."""
        return float(self._one(_SUM))

    def loop_usd(self) -> float:
        """See :meth:`Ledger.loop_usd`."""
        return float(self._one(LOOP_USD))

    def _one(self, sql: str) -> Any:
        return self._connection.execute(sql).fetchone()[0]


@contextmanager
def open_calls(path: Path) -> Iterator[Calls]:
    """The ledger at ``path`` as it stands; nothing is written beside it.

    Raises:
        RunError: it is missing or is no ledger.
    """
    with snapshot(path) as connection:
        readable(connection)
        yield Calls(connection)
