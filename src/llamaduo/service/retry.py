"""When to ask again, and when to give up. Pure: no clock, no sleep, no network."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from llamaduo.service.ledger import RawReply
from llamaduo.service.refusals import is_about_money

_DAY = 86_400.0
_TRANSIENT = frozenset({408, 409, 425, 429})


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with full jitter, in seconds."""

    first: float = 0.5
    most: float = 60.0

    def seconds(self, setbacks: int, retry_after: float | None, draw: random.Random) -> float:
        """How long to wait after the nth setback (from 1), never less than the server asks."""
        return (retry_after or 0.0) + draw.uniform(0.0, self.ceiling(setbacks))

    def ceiling(self, setbacks: int) -> float:
        """The longest wait of ours after the nth setback, on top of what the server asks."""
        return min(self.most, self.first * 2.0 ** min(setbacks - 1, 32))


def is_transient(raw: RawReply) -> bool:
    """Whether the same request may be answered later."""
    if raw.status == 429:
        return not is_about_money(raw)
    return raw.status in _TRANSIENT or raw.status >= 500


def seconds_asked(retry_after: str | None, now: datetime | None = None) -> float | None:
    """The wait that a Retry-After header asks for: seconds, or an HTTP date."""
    if retry_after is None:
        return None
    with suppress(ValueError):
        seconds = float(retry_after)
        return min(seconds, _DAY) if seconds > 0 else 0.0
    try:
        until = parsedate_to_datetime(retry_after)
    except (ValueError, OverflowError):
        return None
    aware = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (aware - (now or datetime.now(UTC))).total_seconds())
