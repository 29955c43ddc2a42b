"""Whether an error says that memory ran out. Imports torch: load lazily."""

from __future__ import annotations

import torch

_SAYS = ("allocate memory", "out of memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Of the device, or of this process: torch says the latter with a plain RuntimeError."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _SAYS)
