"""A SQLite journal that one process owns: one writer thread, group commit, nothing lost.

A statement's future resolves after the commit that holds it has reached the disk (WAL with
``synchronous=FULL``). Statements that wait while a commit is under way share the next one, so
many callers pay for one fsync. A statement that is noted is for nobody to wait for, and rides with
the next one. The journal knows nothing of what its tables mean.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
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
_NOTED_SECONDS = 0.2
"""For how long a note may be in memory only, when no other statement takes it along."""
_REFUSED_ALONE = (sqlite3.IntegrityError, sqlite3.ProgrammingError, ValueError, OverflowError)
"""What one statement may raise without spoiling the transaction of the others."""


@dataclass(frozen=True, slots=True)
class _Statement:
    """``rows`` gets the outcome. One that belongs to an event loop is resolved there; a note has
    none."""

    sql: str
    parameters: Sequence[Any] | Mapping[str, Any]
    rows: Future[list[Row]] | asyncio.Future[list[Row]] | None


class Journal:
    """An open journal file. Close it, or use it as a context manager."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._queue: SimpleQueue[list[_Statement] | None] = SimpleQueue()
        self._notes: list[_Statement] = []
        self._asleep = False
        """Whether the writer waits for the queue alone, and looks after no note."""
        self._lock = threading.Lock()
        """Keeps the two above, and the order of what is put."""
        self._failure: Exception | None = None
        """Why the notes that are kept could not be written so far."""
        self._refused: Exception | None = None
        """Why a note never can be, until somebody is told."""
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

    def note(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> None:
        """Run one statement that need not be durable yet: after all that were put before it and
        before all that are put later, with the next commit or within a fifth of a second.

        One that cannot be written is kept for a later commit, at the latest that of :meth:`close`.
        One that is refused for what it says is raised by the next note, or by :meth:`close`.
        """
        with self._lock:
            self._check_open()
            self._notes.append(_Statement(sql, parameters, None))
            if self._asleep:
                self._asleep = False
                self._queue.put([])
        self._tell_of_refused()

    def _put(self, statement: _Statement) -> None:
        with self._lock:
            self._check_open()
            self._asleep = False
            self._queue.put([*self._take_notes(), statement])

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError(f"{self.path} is closed")

    def _tell_of_refused(self) -> None:
        if self._refused is not None:
            error, self._refused = self._refused, None
            raise error

    def close(self) -> None:
        """Commit what waits, then close the file.

        Raises:
            RunError: a note could not be written.
        """
        if self._closed:
            return
        with self._lock:
            self._closed = True
            self._queue.put(self._take_notes())
            self._queue.put(None)
        self._writer.join()
        self._connection.close()
        if self._notes and self._failure is not None:
            raise self._failure
        self._tell_of_refused()

    def _take_notes(self) -> list[_Statement]:
        notes, self._notes = self._notes, []
        return notes

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- the writer thread ----------------------------------------------------------------

    def _write(self) -> None:
        last = False
        while not last:
            group, last = self._next_group()
            self._commit([s for s in group if _is_wanted(s)])

    def _next_group(self) -> tuple[list[_Statement], bool]:
        """Everything that waits now, and whether the journal closes after it."""
        group: list[_Statement] = []
        statements = self._next()
        while statements is not None:
            group += statements
            try:
                if len(group) >= _LARGEST_GROUP:
                    return group, False
                statements = self._queue.get_nowait()
            except Empty:
                return group, False
        return group, True

    def _next(self) -> list[_Statement] | None:
        """What is put next. When nothing is for a while, the notes; without any, it waits on."""
        with suppress(Empty):
            return self._queue.get(timeout=_NOTED_SECONDS)
        with self._lock:
            if self._notes:
                return self._take_notes()
            self._asleep = self._queue.empty()
        return self._queue.get()

    def _commit(self, group: list[_Statement]) -> None:
        if not group:
            return
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
            failure = _explained(self.path, error)
            outcomes = [failure] * len(group)
            self._keep_notes(group, failure)
        _resolve(group, outcomes)

    def _keep_notes(self, group: Sequence[_Statement], failure: Exception) -> None:
        with self._lock:
            self._notes[:0] = [statement for statement in group if statement.rows is None]
            self._failure = failure

    def _run(self, statement: _Statement) -> list[Row] | Exception:
        try:
            return self._connection.execute(statement.sql, statement.parameters).fetchall()
        except _REFUSED_ALONE as error:
            if statement.rows is None:
                self._refused = error
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
        elif statement.rows is not None:
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
