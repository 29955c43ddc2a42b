"""When to ask again, and when to give up. Pure: no clock, no sleep, no network."""

from __future__ import annotations

import json
import random
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from llamaduo.service.ledger import RawReply

_DAY = 86_400.0
_TRANSIENT = frozenset({408, 409, 425, 429})
_OUT_OF_MONEY = frozenset(
    {
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
    }
)
"""Codes that OpenAI and others send with a 429 although waiting does not help."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with full jitter, in seconds."""

    first: float = 0.5
    most: float = 60.0

    def seconds(self, setbacks: int, retry_after: float | None, draw: random.Random) -> float:
        """How long to wait after the nth setback (from 1), never less than the server asks."""
        ceiling = min(self.most, self.first * 2.0 ** min(setbacks - 1, 32))
        return (retry_after or 0.0) + draw.uniform(0.0, ceiling)


def complaint(raw: RawReply) -> str:
    """What an error reply says, whatever its shape: printable, on one line, short."""
    text = raw.body.decode(errors="replace")
    body = _json(raw)
    error = body.get("error", body) if isinstance(body, dict) else None
    if isinstance(error, dict):
        error = error.get("message") or text
    return _one_line(error if isinstance(error, str) else re.sub(r"<[^>]*>", " ", text))


def is_transient(raw: RawReply) -> bool:
    """Whether the same request may be answered later."""
    if raw.status == 429:
        return not _says_out_of_money(raw)
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


def what_to_do(raw: RawReply, model: str, variable: str) -> str:
    """The next step after a refusal."""
    if raw.status == 401:
        return f"Check the key in {variable}, then run again to resume."
    if raw.status in (402, 429):
        return "Add credit or raise the account's limit, then run again to resume."
    if raw.status == 403:
        return f"Check that the key in {variable} may use {model}, then run again to resume."
    if raw.status == 404 or 300 <= raw.status < 400:
        return f"Check the model name {model} and base_url in llamaduo.yaml."
    return "The request itself was rejected: check the task's prompts, schema and model."


def _says_out_of_money(raw: RawReply) -> bool:
    body = _json(raw)
    error = body.get("error") if isinstance(body, dict) else None
    said = (error.get("code"), error.get("type")) if isinstance(error, dict) else ()
    return any(isinstance(word, str) and word in _OUT_OF_MONEY for word in said)


def _json(raw: RawReply) -> Any:
    """The body as JSON; None if it is not."""
    try:
        return json.loads(raw.body)
    except (ValueError, RecursionError):
        return None


def _one_line(text: str, most: int = 300) -> str:
    """Printable, on one line and short: a server's words go to a terminal."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= most else line[: most - 1] + "…"
