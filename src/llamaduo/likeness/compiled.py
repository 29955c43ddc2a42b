"""Functions that numba compiles: where they are cached, and how they share the cores.

A kernel is compiled when it is first called on a machine, which takes seconds, and read from a
cache from then on. The cache is named after all that went into it: numba itself looks only at
the file that a kernel stands in, not at the kernels which that one calls.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core import config as _config

from llamaduo.storage.cache import users_cache

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def kernel(function: Kernel) -> Kernel:
    """``function``, compiled on its first call. It runs without the interpreter's lock."""
    folder = cache_folder()
    config: Any = _config  # its names are set at run time
    before = config.CACHE_DIR
    config.CACHE_DIR = str(folder or "")
    try:
        return cast(Kernel, numba.njit(nogil=True, cache=folder is not None)(function))
    finally:
        config.CACHE_DIR = before


@cache
def cache_folder() -> Path | None:
    """Where compiled kernels are kept: in the user's cache, else in a temporary folder of this
    user's; None where neither can be written, or others can write there."""
    name = f"kernels-{_fingerprint()}"
    if _is_private(own := users_cache() / name):
        return own
    # Anybody may have put the parent there, and its owner may put another folder in the place
    # of ours.
    parent = Path(tempfile.gettempdir()) / f"llamaduo-{_user()}"
    return parent / name if _is_private(parent) and _is_private(parent / name) else None


def is_compiled() -> bool:
    """Whether an earlier process on this machine has compiled the kernels; else the first calls
    take most of a minute."""
    folder = cache_folder()
    return folder is not None and next(folder.glob("**/*.nbi"), None) is not None


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Workers:
    """Threads that share work over rows. Close them, or use them as a context manager.

    Kernels run without the interpreter's lock, so threads do.
    """

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads if threads and threads > 0 else cores()
        self._pool = ThreadPoolExecutor(self.threads) if self.threads > 1 else None

    def share(self, count: int, work: Callable[[int, int], None]) -> None:
        """Call ``work(first, last)`` on consecutive slices of ``range(count)``, several at a
        time. There are more slices than threads: some take longer than others."""
        if self._pool is None or count < 2:
            work(0, count)
            return
        size = -(-count // (4 * self.threads))
        ranges = [(first, min(first + size, count)) for first in range(0, count, size)]
        for _ in self._pool.map(lambda part: work(*part), ranges):
            pass

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()


def _fingerprint() -> str:
    """A hash of numba's version and of every file in this room."""
    digest = hashlib.blake2b(numba.__version__.encode(), digest_size=8)
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else "user"


def _is_private(folder: Path) -> bool:
    """Whether this user, and no other, can write to ``folder``, which is made if it is not there:
    what is loaded from it is run. A link is nobody's: it can be led elsewhere."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return False
    ours = not hasattr(os, "getuid") or (
        found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    )
    return ours and not folder.is_symlink() and os.access(folder, os.W_OK)
