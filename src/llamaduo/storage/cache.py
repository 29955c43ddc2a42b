"""What can be made again and is kept on this machine, for all runs of a user."""

from __future__ import annotations

import os
from pathlib import Path


def users_cache() -> Path:
    """LLAMADUO_CACHE, or llamaduo in the user's cache folder. It need not exist."""
    if chosen := os.environ.get("LLAMADUO_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "llamaduo"
