"""A SQLite journal that one process owns: one writer thread, group commit, nothing lost.

A statement's future resolves after the commit that holds it has reached the disk (WAL with
``synchronous=FULL``). Statements that wait while a commit is under way share the next one, so
many callers pay for one fsync. Where few wait, the writer pauses for some milliseconds between two
commits: for a call that takes a tenth of a second that is nothing, and it halves the work. The
journal knows nothing of what its tables mean.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from llamaduo.errors import RunError, RunIncompatible, RunLocked
from llamaduo.storage.atomic import sync_folder

Row = tuple[Any, ...]

_BUSY_SECONDS = 0.25  # the run directory's lock keeps others out, so waiting longer is in vain
_LARGEST_GROUP = 256
_PAUSE_SECONDS = 0.005
_COMPANY = 8
"""So many statements share a commit well enough: nobody waits for more."""
_REFUSED_ALONE = (sqlite3.IntegrityError, sqlite3.ProgrammingError, ValueError, OverflowError)
"""What one statement may raise without spoiling the transaction of the others."""


@dataclass(frozen=True, slots=True)
class _Statement:
    """``rows`` gets the outcome. One that belongs to an event loop is resolved there."""

    sql: str
    parameters: Sequence[Any] | Mapping[str, Any]
    rows: Future[list[Row]] | asyncio.Future[list[Row]]


class Journal:
    """An open journal file. Close it, or use it as a context manager."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._queue: SimpleQueue[_Statement | None] = SimpleQueue()
        self._closed = False
        self._writer = threading.Thread(target=self._write, name=f"journal {path.name}")
        self._writer.daemon = True  # a journal left open must not keep the process alive
        self._writer.start()

    @classmethod
    def open(cls, path: Path, schema: Sequence[str]) -> Journal:
        """Open or create ``path`` and bring it to ``schema``, whose nth script leads to version n.

        Raises:
            RunLocked: another process is writing to it.
            RunIncompatible: a newer llamaduo wrote it.
            RunError: it is not a journal, or cannot be opened.
        """
        try:
            connection = sqlite3.connect(
                path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise _explained(path, error) from error
        try:
            _prepare(path, connection, schema)
        except BaseException as error:
            connection.close()
            if isinstance(error, sqlite3.Error):
                raise _explained(path, error) from error
            raise
        sync_folder(path.parent)
        return cls(path, connection)

    def execute(
        self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()
    ) -> Future[list[Row]]:
        """Run one statement; the future holds its rows once its commit is durable.

        The future raises RunError when the disk is full or the file cannot be written.
        """
        rows: Future[list[Row]] = Future()
        self._put(_Statement(sql, parameters, rows))
        return rows

    def ask(
        self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()
    ) -> asyncio.Future[list[Row]]:
        """:meth:`execute` for the running event loop, which is woken once for a whole group.
        What was asked is carried out even if nobody waits for it any more."""
        rows: asyncio.Future[list[Row]] = asyncio.get_running_loop().create_future()
        self._put(_Statement(sql, parameters, rows))
        return rows

    def _put(self, statement: _Statement) -> None:
        if self._closed:
            raise RuntimeError(f"{self.path} is closed")
        self._queue.put(statement)

    def close(self) -> None:
        """Commit what waits, then close the file."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            self._writer.join()
            self._connection.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- the writer thread ----------------------------------------------------------------

    def _write(self) -> None:
        last, ended = False, 0.0
        while not last:
            group, last = self._next_group(ended)
            self._commit([s for s in group if _is_wanted(s)])
            ended = time.monotonic()

    def _next_group(self, ended: float) -> tuple[list[_Statement], bool]:
        """Everything that waits now, and whether the journal closes after it. The last commit
        ``ended`` then."""
        group: list[_Statement] = []
        statement = self._queue.get()
        pause = ended + _PAUSE_SECONDS - time.monotonic()
        if pause > 0 and not self._closed and self._queue.qsize() < _COMPANY:
            time.sleep(pause)
        while statement is not None:
            group.append(statement)
            try:
                if len(group) == _LARGEST_GROUP:
                    return group, False
                statement = self._queue.get_nowait()
            except Empty:
                return group, False
        return group, True

    def _commit(self, group: list[_Statement]) -> None:
        try:
            if len(group) == 1:  # a transaction by itself, at a third of the calls
                outcomes = [self._run(group[0])]
            else:
                self._connection.execute("BEGIN")
                outcomes = [self._run(statement) for statement in group]
                self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            outcomes = [_explained(self.path, error)] * len(group)
        _resolve(group, outcomes)

    def _run(self, statement: _Statement) -> list[Row] | Exception:
        try:
            return self._connection.execute(statement.sql, statement.parameters).fetchall()
        except _REFUSED_ALONE as error:
            return error


_Outcome = list[Row] | Exception
_Resolved = list[tuple["asyncio.Future[list[Row]]", _Outcome]]


def _is_wanted(statement: _Statement) -> bool:
    rows = statement.rows
    return not isinstance(rows, Future) or rows.set_running_or_notify_cancel()


def _resolve(group: Sequence[_Statement], outcomes: Sequence[_Outcome]) -> None:
    """Tell everyone who waits; each event loop in one go."""
    by_loop: dict[asyncio.AbstractEventLoop, _Resolved] = {}
    for statement, outcome in zip(group, outcomes, strict=True):
        if isinstance(statement.rows, Future):
            _tell(statement.rows, outcome)
        else:
            by_loop.setdefault(statement.rows.get_loop(), []).append((statement.rows, outcome))
    for loop, resolved in by_loop.items():
        with suppress(RuntimeError):  # the loop has ended, and nobody waits in it
            loop.call_soon_threadsafe(_tell_all, resolved)


def _tell_all(resolved: _Resolved) -> None:
    for rows, outcome in resolved:
        if not rows.done():  # whoever waited was cancelled
            _tell(rows, outcome)


def _tell(rows: Future[list[Row]] | asyncio.Future[list[Row]], outcome: _Outcome) -> None:
    if isinstance(outcome, Exception):
        rows.set_exception(outcome)
    else:
        rows.set_result(outcome)


def _as_it_is(_: sqlite3.Connection) -> None:
    pass


def read_rows(
    path: Path, sql: str, prepare: Callable[[sqlite3.Connection], None] = _as_it_is
) -> list[Row]:
    """The rows of one query over a journal that another process may be writing to.
    ``prepare`` may give the connection temporary tables and views first.

    A copy in a folder that cannot be written is read too, if it was closed before it was
    copied: beside a write-ahead log that is still full, the file alone lacks the latest rows.

    Raises:
        RunError: the file is missing or is not a journal, or its log cannot be read.
    """
    try:
        return _query(path, "mode=ro", sql, prepare)
    except sqlite3.Error as error:
        if not _is_closed_and_kept_from_writing(path, error):
            raise _explained(path, error) from error
    try:
        return _query(path, "mode=ro&immutable=1", sql, prepare)
    except sqlite3.Error as error:
        raise _explained(path, error) from error


def _query(
    path: Path, how: str, sql: str, prepare: Callable[[sqlite3.Connection], None]
) -> list[Row]:
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True)) as connection:
        prepare(connection)
        return connection.execute(sql).fetchall()


def _is_closed_and_kept_from_writing(path: Path, error: sqlite3.Error) -> bool:
    """Even a reader of a write-ahead log writes an index beside it, where it may."""
    if _code(error) not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
        return False
    log = path.with_name(f"{path.name}-wal")
    return path.is_file() and not (log.is_file() and log.stat().st_size)


def _prepare(path: Path, connection: sqlite3.Connection, schema: Sequence[str]) -> None:
    mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode != "wal":
        raise RunError(
            f"{path}: this file system cannot hold a write-ahead log (journal mode {mode}).",
            hint="Put the run on a local disk.",
        )
    connection.execute("PRAGMA synchronous=FULL")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(schema):
        raise RunIncompatible(
            f"{path} has schema {version}; this llamaduo knows up to {len(schema)}.",
            hint="Use the llamaduo that wrote it, or start a new run with --name.",
        )
    for number, script in enumerate(schema[version:], start=version + 1):
        connection.executescript(f"BEGIN; {script}; PRAGMA user_version={number}; COMMIT")


def _explained(path: Path, error: sqlite3.Error) -> RunError:
    """The same failure in words that say which file and what to do."""
    code = _code(error)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return RunLocked(
            f"{path} is in use by another process.",
            hint="Wait until the other llamaduo has ended, then run again.",
        )
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return RunError(
            f"{path} is not a journal of llamaduo, or is damaged: {error}.",
            hint="Restore the file from a copy, or start a new run with --name.",
        )
    if code == sqlite3.SQLITE_FULL:
        return RunError(
            f"{path} cannot grow: the disk is full.",
            hint="Free some space, then run again to resume; what was answered is kept.",
        )
    return RunError(
        f"{path} cannot be used: {error}.",
        hint="Check that its folder exists and can be written, then run again.",
    )


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary result code; 0 for what did not come from SQLite."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
