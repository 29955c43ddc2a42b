"""Reading a journal leaves nothing beside it, and reads what its log holds."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from llamaduo.errors import RunError
from llamaduo.storage.journal import Journal
from llamaduo.storage.snapshot import _copy, snapshot

SCHEMA = ("CREATE TABLE words (word TEXT)",)
INSERT = "INSERT INTO words VALUES (?)"


def words(path: Path) -> list[str]:
    with snapshot(path) as connection:
        return [row[0] for row in connection.execute("SELECT word FROM words ORDER BY rowid")]


def test_a_closed_journal(tmp_path: Path) -> None:
    path = tmp_path / "words.sqlite"
    with Journal.open(path, SCHEMA) as journal:
        journal.execute(INSERT, ("one",)).result()
    before = sorted(tmp_path.iterdir())
    assert words(path) == ["one"]
    assert sorted(tmp_path.iterdir()) == before == [path]


def test_a_log_of_an_earlier_try_is_not_read_once_its_journal_is_closed(tmp_path: Path) -> None:
    """Its pages are older than those that its writer has moved into the journal since."""
    path, folder = tmp_path / "words.sqlite", tmp_path / "copy"
    folder.mkdir()
    with Journal.open(path, SCHEMA) as journal:
        journal.execute(INSERT, ("one",)).result()
        shutil.copyfile(tmp_path / "words.sqlite-wal", folder / "words.sqlite-wal")
    copied = _copy(path, folder)
    assert [one.name for one in folder.iterdir()] == [copied.name]


def test_a_journal_that_another_writes_to_is_read_with_its_log(tmp_path: Path) -> None:
    path = tmp_path / "words.sqlite"
    with Journal.open(path, SCHEMA) as journal:
        journal.execute(INSERT, ("one",)).result()
        assert (tmp_path / "words.sqlite-wal").stat().st_size
        before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
        assert words(path) == ["one"]
        assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
        journal.execute(INSERT, ("two",)).result()
        assert words(path) == ["one", "two"]


def test_it_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "words.sqlite"
    with Journal.open(path, SCHEMA) as journal:
        journal.execute(INSERT, ("one",)).result()
    with pytest.raises(RunError, match="readonly"), snapshot(path) as connection:
        connection.execute(INSERT, ("two",))
    assert words(path) == ["one"]


def test_a_file_that_is_missing_or_no_journal(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is missing"), snapshot(tmp_path / "none.sqlite"):
        pass
    (tmp_path / "text.sqlite").write_text("this is no database, and long enough to be looked at")
    with pytest.raises(RunError, match="not a journal"), snapshot(tmp_path / "text.sqlite"):
        pass


def test_the_copy_is_closed_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "words.sqlite"
    with Journal.open(path, SCHEMA), snapshot(path) as connection:
        pass
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")
