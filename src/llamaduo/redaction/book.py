"""The table from values to stand-ins, in one file that only its owner can read.

``redaction.jsonl`` begins with the run's secret, by which stand-ins are drawn; every other line
is one value with its stand-in. Lines are only ever added, and are on the disk before the text
that holds the stand-in is handed on. The file stays in the run: nothing packs or sends it.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from llamaduo.errors import RunError
from llamaduo.redaction.restoring import StandIns

_OWNER_ONLY = 0o600
Entry = tuple[str, str, str]
"""Kind, value, stand-in."""


class Book:
    """Values and their stand-ins, one to one. ``path`` is None for one that is never written."""

    def __init__(
        self, secret: bytes, entries: Iterable[Entry] = (), path: Path | None = None
    ) -> None:
        self.secret = secret
        self.stand_ins = StandIns()
        self._path = path
        self._by_value: dict[tuple[str, str], str] = {}
        self._unwritten: list[Entry] = []
        for entry in entries:
            self._know(entry)

    @classmethod
    def in_memory(cls) -> Book:
        """One that is forgotten at the end."""
        return cls(secrets.token_bytes(32))

    @classmethod
    def open(cls, path: Path) -> Book:
        """The book at ``path``, to be added to; a new one where there is none.

        Raises:
            RunError: it is damaged, or cannot be written.
        """
        try:
            if not path.exists():
                _create(path)
            path.chmod(_OWNER_ONLY)
        except OSError as error:
            raise _unwritable(path, error) from error
        return _read(path, path)

    @classmethod
    def read(cls, path: Path) -> Book:
        """The book at ``path`` as it stands. Nothing is written.

        Raises:
            RunError: it is missing or damaged.
        """
        return _read(path, None)

    def find(self, kind: str, value: str) -> str | None:
        """The stand-in of ``value``."""
        return self._by_value.get((kind, value))

    def add(self, kind: str, value: str, stand_in: str) -> None:
        """Remember a stand-in that no value has yet. :meth:`write` makes it last."""
        self._know((kind, value, stand_in))
        self._unwritten.append((kind, value, stand_in))

    def forget(self, count: int) -> list[str]:
        """Take back the ``count`` stand-ins that were added last and are not written."""
        kept = len(self._unwritten) - count
        gone = self._unwritten[kept:]
        del self._unwritten[kept:]
        for kind, value, stand_in in gone:
            del self._by_value[kind, value]
            self.stand_ins.remove(stand_in)
        return [stand_in for *_, stand_in in gone]

    @property
    def unwritten(self) -> int:
        """How many were added since the last :meth:`write`."""
        return len(self._unwritten)

    def new(self) -> set[str]:
        """The stand-ins that were added since the last :meth:`write`."""
        return {stand_in for *_, stand_in in self._unwritten}

    def write(self) -> None:
        """Make what was added durable.

        Raises:
            RunError: the file cannot be written; nothing of it may be used then.
        """
        if not self._unwritten or self._path is None:
            self._unwritten.clear()
            return
        lines = "".join(_line(entry) for entry in self._unwritten)
        try:
            _append(self._path, lines.encode())
        except OSError as error:
            raise _unwritable(self._path, error) from error
        self._unwritten.clear()

    def _know(self, entry: Entry) -> None:
        kind, value, stand_in = entry
        self._by_value[kind, value] = stand_in
        self.stand_ins.add(stand_in, value)


# --- the file -----------------------------------------------------------------------------


def _create(path: Path) -> None:
    """A new file with a secret of its own, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    header = {"redaction": 1, "secret": secrets.token_hex(32)}
    temporary.unlink(missing_ok=True)
    _append(temporary, (json.dumps(header) + "\n").encode())
    temporary.replace(path)
    _sync_folder(path.parent)


def _append(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, _OWNER_ONLY)
    try:
        size = os.fstat(handle).st_size
        if size and os.pread(handle, 1, size - 1) != b"\n":  # a crash tore the last line
            data = b"\n" + data
        while data:
            data = data[os.write(handle, data) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _line(entry: Entry) -> str:
    kind, value, stand_in = entry
    return json.dumps({"kind": kind, "value": value, "stand_in": stand_in}) + "\n"


def _read(path: Path, writable: Path | None) -> Book:
    try:
        first, *rest = path.read_bytes().split(b"\n")
    except FileNotFoundError as error:
        raise RunError(
            f"{path} is missing.",
            hint="Restore it: without it no stand-in of this run can be turned back.",
        ) from error
    except OSError as error:
        raise _unwritable(path, error) from error
    secret = _secret(path, first)
    entries = [entry for n, line in enumerate(rest, start=2) if (entry := _entry(path, n, line))]
    return Book(secret, entries, writable)


def _secret(path: Path, line: bytes) -> bytes:
    try:
        match json.loads(line):
            case {"redaction": 1, "secret": str(secret)}:
                return bytes.fromhex(secret)
    except ValueError as error:
        raise _damaged(path, 1) from error
    raise _damaged(path, 1)


def _entry(path: Path, number: int, line: bytes) -> Entry | None:
    """A line's entry; None for a line that a crash cut short: nothing that holds its stand-in
    was ever handed on."""
    try:
        values = json.loads(line)
    except ValueError:
        return None
    match values:
        case {"kind": str(kind), "value": str(value), "stand_in": str(stand_in)}:
            return kind, value, stand_in
    raise _damaged(path, number)


def _damaged(path: Path, number: int) -> RunError:
    return RunError(
        f"{path}, line {number}: not what llamaduo wrote there.",
        hint="Restore the file from a copy, or start a new run with --name.",
    )


def _unwritable(path: Path, error: OSError) -> RunError:
    return RunError(
        f"{path} cannot be used: {error.strerror}.",
        hint="Nothing was sent. Free some space or mend its rights, then run again.",
    )
