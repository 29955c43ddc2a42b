"""The service's own record of what it was asked and what it delivered: the referee of tests."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that was recorded. ``attempt`` counts the requests with this very body, from 1."""

    digest: str
    shape: str | None
    dialect: str
    attempt: int


class Record:
    """An append-only list of what was asked and delivered, one JSON object a line.

    Tests count paid calls by it, from outside the process that made them. A line ``asked``
    goes before a reply, a line ``delivered`` after it: true when the client was still there.
    """

    def __init__(self, path: Path | None) -> None:
        self._file: TextIO | None = path.open("a", encoding="utf-8") if path else None
        self._attempts: Counter[str] = Counter()

    def next_attempt(self, digest: str) -> int:
        """The number of the next request whose body has ``digest``."""
        return self._attempts[digest] + 1

    def asked(self, digest: str, shape: str | None, *, dialect: str, fault: str = "") -> Asked:
        """A request came, and ``fault`` is what it will get."""
        self._attempts[digest] += 1
        asked = Asked(digest=digest, shape=shape, dialect=dialect, attempt=self._attempts[digest])
        self._write({"event": "asked"} | _named(asked) | ({"fault": fault} if fault else {}))
        return asked

    def delivered(
        self, asked: Asked, status: int, *, arrived: bool, fault: str, size: int, paid: bool
    ) -> None:
        """The request was answered. ``size`` is in bytes of body."""
        outcome = {"status": status, "delivered": arrived, "bytes": size, "paid": paid}
        line = {"event": "delivered"} | _named(asked) | outcome
        self._write(line | ({"fault": fault} if fault else {}))

    def batch(self, id_: str, dialect: str, requests: int) -> None:
        """A batch was made; its requests are recorded as asked when they are processed."""
        line = {"event": "batch", "id": id_, "dialect": dialect, "requests": requests}
        self._write(line)

    def held(self, dialect: str) -> None:
        """The creation of a batch came, and is not going to be answered."""
        self._write({"event": "held", "dialect": dialect})

    def refused(self, connection: int) -> None:
        """The nth connection was reset before a request was read from it."""
        self._write({"event": "refused", "connection": connection})

    def close(self) -> None:
        if self._file:
            self._file.close()

    def _write(self, line: dict[str, Any]) -> None:
        if self._file:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()


def _named(asked: Asked) -> dict[str, Any]:
    named = {"sha256": asked.digest, "shape": asked.shape}
    return named | {"dialect": asked.dialect, "attempt": asked.attempt}
