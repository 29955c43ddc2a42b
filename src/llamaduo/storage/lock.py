"""One process at a time in a run directory, or at work on a folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llamaduo.errors import RunLocked


def is_locked(folder: Path) -> bool:
    """Whether a process owns ``folder`` now."""
    try:
        with (folder / ".lock").open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Own ``folder`` until the block ends. The kernel frees the lock of a killed process.

    Raises:
        RunLocked: another process owns it; the message names that process.
    """
    path = folder / ".lock"
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            owner = file.read().strip() or "unknown"
            raise RunLocked(
                f"{folder} is in use by another process (id {owner}).",
                hint="Wait until it ends, or start a run of its own with --name.",
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Be the only process at work on ``folder``, which may not be there yet; waits for another."""
    with folder.with_name(f".{folder.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
