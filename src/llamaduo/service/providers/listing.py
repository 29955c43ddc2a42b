"""What a provider's own list of models says of one of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Listing:
    """``resolved`` is the exact model that a name stands for, as far as the list tells;
    ``fixed`` says that the name will not stand for another. ``retires`` is the day from which
    it is no longer served; ``retired``: it is not any more."""

    resolved: str
    fixed: bool
    retires: date | None = None
    retired: bool = False
