"""How many settled rows a second does the ledger keep, with durability on?

    python benchmarks/service/ledger.py [FOLDER]

A settled row is one paid call: its intent, its reply of 2 kB and what it cost, each durable before
the next is written (WAL, ``synchronous=FULL``). Calls are in flight side by side and share commits.
Beside it, in the same run and on the same disk: how often the disk itself commits, one small SQLite
transaction after the other, and how often it carries out ``fsync`` alone. FOLDER decides the disk.
Asked for: 5,000 rows a second. Writes ``ledger.json`` and ``ledger.md`` beside this file.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from llamaduo.service.ledger import Cost, Ledger, RawReply
from llamaduo.storage.journal import read_rows

ROWS, ROUNDS = 20_000, 5
IN_FLIGHT = (32, 64, 128, 256)
ASKED = 5_000
REPLY = RawReply(200, "application/json", b"x" * 2048)
REQUEST = json.dumps({"messages": [["user", "q" * 500]]})
HERE = Path(__file__).parent


def main() -> None:
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    found: dict[str, list[float]] = {}
    for number in range(ROUNDS):
        for name, measure in _measures():
            with tempfile.TemporaryDirectory(dir=place) as folder:
                found.setdefault(name, []).append(measure(Path(folder)))
        print(f"round {number + 1} of {ROUNDS}", file=sys.stderr)
    _write(found)


def _measures() -> list[tuple[str, Callable[[Path], float]]]:
    ours = [
        (
            f"settled rows/s, {count} in flight",
            lambda folder, n=count: asyncio.run(_rows(folder, n)),
        )
        for count in IN_FLIGHT
    ]
    return [("fsync/s", _fsyncs), ("SQLite commits/s, one at a time", _commits), *ours]


async def _rows(folder: Path, in_flight: int) -> float:
    numbers = iter(range(ROWS))  # shared: each worker takes the next
    with Ledger.open(folder / "ledger.sqlite") as ledger:

        async def work() -> None:
            for number in numbers:
                async with ledger.attempt(
                    f"{number:064x}",
                    stage="judge",
                    model="openai-chat:m",
                    request=REQUEST,
                    most_usd=0.01,
                    budget_usd=None,
                ) as attempt:
                    await ledger.answer(attempt, REPLY)
                    await ledger.settle(attempt, Cost("m-2026", 100, 20, 0.001))

        began = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(in_flight)))
        rate = ROWS / (time.perf_counter() - began)
    sql = "SELECT COUNT(*) FROM attempts WHERE state = 'answered' AND usd > 0"
    assert read_rows(folder / "ledger.sqlite", sql) == [(ROWS,)]
    return rate


def _commits(folder: Path, seconds: float = 1.0) -> float:
    with closing(sqlite3.connect(folder / "plain.sqlite", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE rows (number INTEGER)")

        def commit(number: int) -> None:
            connection.execute("INSERT INTO rows VALUES (?)", (number,))

        return _rate(commit, seconds)


def _fsyncs(folder: Path, seconds: float = 1.0) -> float:
    with (folder / "plain").open("wb") as file:

        def sync(_: int) -> None:
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())

        return _rate(sync, seconds)


def _rate(act: Callable[[int], None], seconds: float) -> float:
    began, done = time.perf_counter(), 0
    while (took := time.perf_counter() - began) < seconds:
        act(done)
        done += 1
    return done / took


def _write(found: dict[str, list[float]]) -> None:
    rates = {name: round(median(values)) for name, values in found.items()}
    slowest = min(rate for name, rate in rates.items() if name.startswith("settled"))
    result = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "rows": ROWS,
        "rounds": found,
        "median": rates,
        "asked": ASKED,
        "met": slowest >= ASKED,
    }
    (HERE / "ledger.json").write_text(json.dumps(result, indent=2) + "\n")
    text = "\n".join(_page(result, rates, slowest)) + "\n"
    (HERE / "ledger.md").write_text(text)
    print(text)


def _page(result: dict[str, object], rates: dict[str, int], slowest: int) -> list[str]:
    disk = rates["SQLite commits/s, one at a time"]
    return [
        "# Settled rows a second",
        "",
        (
            f"`python benchmarks/service/ledger.py`, {result['at']}; {result['machine']}, Python"
            f" {result['python']}, SQLite {result['sqlite']}. Medians of {ROUNDS} rounds of"
            f" {ROWS:,} calls: intent, reply of 2 kB and cost, each durable (WAL,"
            " `synchronous=FULL`)."
        ),
        "",
        "| what | a second |",
        "| --- | ---: |",
        *(f"| {name.replace('/s', '')} | {rate:,} |" for name, rate in rates.items()),
        "",
        (
            f"Asked for: {ASKED:,} settled rows a second. Slowest: {slowest:,},"
            f" {slowest / disk:.1f} for each commit that the disk carries out by itself"
            f" ({disk:,} a second)."
        ),
    ]


if __name__ == "__main__":
    main()
