"""A journal as it stands, open for reading, with nothing written beside it.

Even a reader of a write-ahead log leaves an index file behind, so a journal that has a log is
read from a copy. One without was closed, and is read where it is.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from llamaduo.errors import RunError, RunLocked

_TRIES = 3


@contextmanager
def snapshot(path: Path) -> Iterator[sqlite3.Connection]:
    """The journal at ``path``, read-only, while the block runs.

    Raises:
        RunError: it is missing, or is no journal.
        RunLocked: another process writes to it so much that no whole copy could be made.
    """
    if not path.is_file():
        raise RunError(
            f"{path} is missing.", hint="Restore it: it holds every reply and what it cost."
        )
    with tempfile.TemporaryDirectory(prefix="llamaduo-") as folder:
        place = _copy(path, Path(folder)) if _log(path).exists() else path
        how = "mode=ro&immutable=1" if place == path else "mode=rw"
        address = f"{place.resolve().as_uri()}?{how}"
        try:
            with closing(sqlite3.connect(address, uri=True)) as connection:
                connection.execute("SELECT name FROM sqlite_schema").fetchall()
                yield connection
        except sqlite3.DatabaseError as error:
            raise RunError(
                f"{path} is not a journal of llamaduo, or is damaged: {error}.",
                hint="Restore the file from a copy.",
            ) from error


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _copy(path: Path, folder: Path) -> Path:
    """``path`` and its log in ``folder``. The log is copied second: what a writer moves from it
    into the journal in between shows in the journal's time and size, and it is copied again."""
    place = folder / path.name
    for _ in range(_TRIES):
        before = _stamp(path)
        shutil.copyfile(path, place)
        _log(place).unlink(missing_ok=True)  # of the try before: it may be gone by now
        with suppress(FileNotFoundError):  # its writer has closed it
            shutil.copyfile(_log(path), _log(place))
        if _stamp(path) == before:
            return place
    raise RunLocked(f"{path} is being written to.", hint="Wait until the other llamaduo has ended.")


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size
