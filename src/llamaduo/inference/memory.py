"""The most memory that this process, or its GPU, held while something ran."""

from __future__ import annotations

import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # proc(5)


class PeakMemory:
    """Measures from where it is made on. Where the system's own mark cannot be set back, the
    peak is that of the whole process, which is no less."""

    def __init__(self) -> None:
        with suppress(OSError):  # another system, or not allowed
            _CLEAR.write_text(_RESET_PEAK)
        if torch := _cuda():
            torch.cuda.reset_peak_memory_stats()

    def bytes(self) -> int:
        """Of the GPU, where torch has used one; else of the process."""
        if torch := _cuda():
            return int(torch.cuda.max_memory_reserved())
        return _high_water() or _whole_process()


def _cuda() -> Any:
    """torch, where it is loaded and has used a GPU. It is not loaded for this."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and torch.cuda.is_initialized() else None


def _high_water() -> int | None:
    try:
        lines = _STATUS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)


def _whole_process() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
