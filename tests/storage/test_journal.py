"""The journal: durable when the future resolves, one writer, clear words when it cannot write."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from llamaduo.errors import RunError, RunIncompatible, RunLocked
from llamaduo.storage.journal import Journal, read_rows

SCHEMA = ("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)",)
INSERT = "INSERT INTO notes (text) VALUES (?) RETURNING id"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "notes.sqlite", SCHEMA) as opened:
        yield opened


def texts(path: Path) -> list[str]:
    return [text for (text,) in read_rows(path, "SELECT text FROM notes ORDER BY id")]


def test_a_resolved_future_is_on_disk(journal: Journal) -> None:
    assert journal.execute(INSERT, ("one",)).result() == [(1,)]
    assert texts(journal.path) == ["one"]


def test_it_is_durable_against_power_loss(journal: Journal) -> None:
    assert journal.execute("PRAGMA journal_mode").result() == [("wal",)]
    assert journal.execute("PRAGMA synchronous").result() == [(2,)]  # FULL


def test_many_writers_keep_their_order_and_lose_nothing(journal: Journal) -> None:
    futures = [journal.execute(INSERT, (str(n),)) for n in range(2000)]
    assert [f.result()[0][0] for f in futures] == list(range(1, 2001))
    assert texts(journal.path) == [str(n) for n in range(2000)]


def test_few_who_ask_one_after_the_other_share_commits(journal: Journal) -> None:
    said: list[str] = []
    journal._connection.set_trace_callback(lambda sql: said.append(sql[0]))
    waiting = []
    for n in range(40):
        waiting.append(journal.execute(INSERT, (str(n),)))
        time.sleep(0.0005)  # longer than a commit takes
    assert [f.result()[0][0] for f in waiting] == list(range(1, 41))
    transactions = re.sub("BI+C", "T", "".join(said))  # an I that is left had one of its own
    assert len(transactions) < 20, transactions


def test_what_waits_is_written_before_it_closes(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "notes.sqlite", SCHEMA) as journal:
        for n in range(500):
            journal.execute(INSERT, (str(n),))
    assert len(texts(journal.path)) == 500
    with pytest.raises(RuntimeError, match="closed"):
        journal.execute(INSERT, ("late",))


def test_closing_twice_is_harmless(journal: Journal) -> None:
    journal.close()
    journal.close()


@pytest.mark.parametrize(
    ("value", "error"),
    [(None, sqlite3.IntegrityError), ("\ud800", UnicodeEncodeError), (2**80, OverflowError)],
)
def test_a_statement_that_is_refused_does_not_spoil_the_others(
    journal: Journal, value: object, error: type[Exception]
) -> None:
    before = journal.execute(INSERT, ("a",))
    refused = journal.execute(INSERT, (value,))
    after = journal.execute(INSERT, ("b",))

    assert isinstance(refused.exception(), error)
    assert (before.result(), after.result()) == ([(1,)], [(2,)])
    assert texts(journal.path) == ["a", "b"]


def test_a_cancelled_statement_is_left_out(journal: Journal) -> None:
    many: list[Future[list[tuple[object, ...]]]] = [
        journal.execute(INSERT, (str(n),)) for n in range(200)
    ]
    cancelled = {n for n, future in enumerate(many) if future.cancel()}
    kept = [str(n) for n in range(200) if n not in cancelled]
    journal.close()
    assert texts(journal.path) == kept


def test_a_full_disk_names_the_file_and_the_next_step(journal: Journal) -> None:
    journal.execute(INSERT, ("before",)).result()
    journal.execute("PRAGMA max_page_count = 3").result()

    error = journal.execute(INSERT, ("x" * 1_000_000,)).exception()

    assert isinstance(error, RunError)
    assert str(journal.path) in str(error)
    assert "disk is full" in str(error)
    assert "space" in error.hint
    journal.execute("PRAGMA max_page_count = 1000000").result()
    journal.execute(INSERT, ("after",)).result()
    assert texts(journal.path) == ["before", "after"]


def test_a_journal_that_another_process_writes_to_is_locked(journal: Journal) -> None:
    with closing(sqlite3.connect(journal.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        error = journal.execute(INSERT, ("mine",)).exception()
        assert isinstance(error, RunLocked)
        assert str(journal.path) in str(error)
        other.execute("ROLLBACK")
    journal.execute(INSERT, ("mine",)).result()
    assert texts(journal.path) == ["mine"]


@pytest.mark.parametrize(
    "content", [b"this is no database " * 100, b"SQLite format 3\x00" + b"x" * 99]
)
def test_a_file_that_is_not_a_database_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"ledger\.sqlite is not a journal") as caught:
        Journal.open(path, SCHEMA)
    assert "--name" in caught.value.hint
    assert path.read_bytes() == content


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot be used"):
        Journal.open(tmp_path / "nowhere" / "notes.sqlite", SCHEMA)


def test_reading_what_is_missing_or_no_journal_is_said(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot be used"):
        read_rows(tmp_path / "missing.sqlite", "SELECT 1")
    (tmp_path / "text").write_text("not a database " * 99)
    with pytest.raises(RunError, match="is not a journal"):
        read_rows(tmp_path / "text", "SELECT * FROM notes")
    assert not (tmp_path / "missing.sqlite").exists()


@pytest.fixture
def unwritable(tmp_path: Path) -> Iterator[Path]:
    """A folder in which this process may read but not write."""
    with TemporaryDirectory() as name:  # tmp_path is closed to other users
        folder = Path(name)
        yield folder
        if os.getuid() == 0:
            os.seteuid(0)
        folder.chmod(0o700)


def close_to_writing(folder: Path) -> None:
    for file in folder.iterdir():
        file.chmod(0o444)
    folder.chmod(0o555)
    if os.getuid() == 0:  # root may write anywhere
        os.seteuid(65_534)


def test_a_copy_that_cannot_be_written_is_read(unwritable: Path) -> None:
    with Journal.open(unwritable / "notes.sqlite", SCHEMA) as journal:
        journal.execute(INSERT, ("kept",)).result()
    close_to_writing(unwritable)
    assert texts(unwritable / "notes.sqlite") == ["kept"]


def test_a_copy_whose_log_cannot_be_read_is_refused_rather_than_read_in_part(
    unwritable: Path,
) -> None:
    with Journal.open(unwritable / "live.sqlite", SCHEMA) as journal:
        journal.execute(INSERT, ("only in the log",)).result()
        for end in ("", "-wal"):
            copy = unwritable / f"notes.sqlite{end}"
            copy.write_bytes((unwritable / f"live.sqlite{end}").read_bytes())
    close_to_writing(unwritable)
    with pytest.raises(RunError, match="cannot be used"):
        texts(unwritable / "notes.sqlite")


def test_an_older_schema_is_brought_up_and_a_newer_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.sqlite"
    newer = (*SCHEMA, "ALTER TABLE notes ADD COLUMN mood TEXT DEFAULT 'calm'")
    with Journal.open(path, SCHEMA) as journal:
        journal.execute(INSERT, ("old",)).result()
    with Journal.open(path, newer) as journal:
        assert journal.execute("SELECT text, mood FROM notes").result() == [("old", "calm")]
    with pytest.raises(RunIncompatible, match="schema 2; this llamaduo knows up to 1"):
        Journal.open(path, SCHEMA)


WRITER = """
import sys
from pathlib import Path
from llamaduo.storage.journal import Journal
journal = Journal.open(Path(sys.argv[1]), [sys.argv[2]])
for n in range(100_000):
    futures = [journal.execute(sys.argv[3], (str(n * 8 + i),)) for i in range(8)]
    for future in futures:
        print(future.result()[0][0], flush=True)
"""


def test_a_killed_process_loses_nothing_that_it_was_told_is_durable(tmp_path: Path) -> None:
    path = tmp_path / "notes.sqlite"
    command = [sys.executable, "-c", WRITER, str(path), SCHEMA[0], INSERT]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": "src"}
    ) as writer:
        assert writer.stdout is not None
        told = [int(writer.stdout.readline()) for _ in range(100)]
        writer.send_signal(signal.SIGKILL)
        told += [int(line) for line in writer.stdout if line.endswith("\n")]
    with Journal.open(path, SCHEMA) as journal:
        kept = {row[0] for row in journal.execute("SELECT id FROM notes").result()}
    assert set(told) <= kept


# --- from an event loop -------------------------------------------------------------------


async def test_a_loop_is_told_when_its_rows_are_on_disk(journal: Journal) -> None:
    found = await asyncio.gather(*(journal.ask(INSERT, (str(n),)) for n in range(600)))
    assert [rows[0][0] for rows in found] == list(range(1, 601))
    assert texts(journal.path) == [str(n) for n in range(600)]


async def test_one_bad_statement_does_not_spoil_those_beside_it(journal: Journal) -> None:
    outcomes = await asyncio.gather(
        journal.ask(INSERT, ("one",)),
        journal.ask(INSERT, (None,)),
        journal.ask(INSERT, ("two",)),
        return_exceptions=True,
    )
    assert [isinstance(one, sqlite3.IntegrityError) for one in outcomes] == [False, True, False]
    assert texts(journal.path) == ["one", "two"]


async def test_what_was_asked_is_carried_out_though_nobody_waits(journal: Journal) -> None:
    waiting = journal.ask(INSERT, ("cancelled",))
    waiting.cancel()
    await journal.ask(INSERT, ("last",))
    assert texts(journal.path) == ["cancelled", "last"]


def test_a_loop_that_has_ended_holds_nothing_up(journal: Journal) -> None:
    async def leave() -> None:
        for n in range(200):
            journal.ask(INSERT, (str(n),))

    asyncio.run(leave())
    assert journal.execute(INSERT, ("last",)).result() == [(201,)]
