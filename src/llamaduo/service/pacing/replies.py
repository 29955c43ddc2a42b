"""What a provider's reply says about its limits: headers, and the body of a 429. Pure.

Three forms are read: OpenAI's ``x-ratelimit-*`` (Azure, Groq and many compatible servers have
them too), ``anthropic-ratelimit-*``, and Google's error details. Whatever is malformed is as
good as not there: nothing here raises over a reply.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal, get_args

from llamaduo.service.retry import seconds_asked

Dimension = Literal["requests", "tokens", "input_tokens", "output_tokens"]
"""What a provider limits. ``tokens`` is input and output together."""

TOO_MANY = 429
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)
_OF_LIMITS = ("x-ratelimit-", "anthropic-ratelimit-")
_HEEDED = (*_OF_LIMITS, "retry-after", "date")
_LONGEST_MINUTE = 600.0
_DAY = 86_400.0
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")


@dataclass(frozen=True, slots=True)
class Said:
    """``limits`` a minute, and ``quotas``, the same as a refusal has them and no other reply;
    what ``remaining`` of the limits the provider still had; ``wait``: the seconds until it wants
    to be asked again, where it was refused."""

    limits: Mapping[Dimension, float] = field(default_factory=dict)
    quotas: Mapping[Dimension, float] = field(default_factory=dict)
    remaining: Mapping[Dimension, float] = field(default_factory=dict)
    wait: float | None = None


def heeded(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that say something about limits, with their names in lower case."""
    lower = ((name.lower(), name) for name in headers)
    return {name: headers[theirs] for name, theirs in lower if name.startswith(_HEEDED)}


def read(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> Said:
    """What a reply says. ``headers`` in lower case; ``now`` stands in for a missing Date."""
    says = any(name.startswith(_OF_LIMITS) for name in headers)
    if not says and status != TOO_MANY:
        return Said()  # most replies, and nothing is parsed for them
    theirs = _now(headers, now)
    found = {name: _read_dimension(headers, name, theirs) for name in DIMENSIONS}
    if found["input_tokens"].limit:
        # Anthropic's "tokens" then repeats the tightest of the others, by its own count.
        found["tokens"] = _Figures()
    limits = {name: figures.limit for name, figures in found.items() if figures.limit}
    remaining = {
        name: figures.remaining
        for name, figures in found.items()
        if figures.limit and figures.remaining is not None
    }
    if status != TOO_MANY:
        return Said(limits, remaining=remaining)
    details = tuple(_details(body))
    wait = _asked(headers, details, theirs)
    if wait is None:
        resets = [f.reset for f in found.values() if f.reset is not None and f.remaining == 0]
        wait = max(resets, default=None)
    return Said(limits, dict(_quotas(details)), remaining, wait)


# --- headers ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Figures:
    limit: float | None = None
    remaining: float | None = None
    reset: float | None = None


def _read_dimension(headers: Mapping[str, str], name: Dimension, now: datetime) -> _Figures:
    word = name.replace("_", "-")
    theirs = f"anthropic-ratelimit-{word}"
    if f"{theirs}-limit" in headers:
        start, reset = f"{theirs}-{{}}", _until(headers.get(f"{theirs}-reset", ""), now)
        return _figures(headers, start, reset)
    openai = f"x-ratelimit-{{}}-{word}"
    figures = _figures(headers, openai, _duration(headers.get(openai.format("reset"), "")))
    return _Figures() if name == "requests" and _is_of_a_day(figures) else figures


def _figures(headers: Mapping[str, str], form: str, reset: float | None) -> _Figures:
    limit = _number(headers.get(form.format("limit"), ""))
    return _Figures(limit or None, _number(headers.get(form.format("remaining"), "")), reset)


def _is_of_a_day(figures: _Figures) -> bool:
    """Whether a limit is not one of a minute. Groq and OpenAI's smallest tiers have requests a
    day under the same name; the time in which it refills gives it away."""
    limit, remaining, reset = figures.limit, figures.remaining, figures.reset
    if limit is None or remaining is None or reset is None or remaining >= limit:
        return False
    return reset * limit / (limit - remaining) > _LONGEST_MINUTE


def _asked(
    headers: Mapping[str, str], details: tuple[Mapping[str, Any], ...], now: datetime
) -> float | None:
    """The seconds that a 429 asks to wait, by the most exact of its ways to say so."""
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return min(milliseconds / 1000.0, _DAY)
    seconds = seconds_asked(headers.get("retry-after"), now)
    delays = [_delay(detail.get("retryDelay")) for detail in details]
    return max((s for s in (seconds, *delays) if s is not None), default=None)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0.0 else None


def _duration(text: str) -> float | None:
    """Seconds of Go's notation: ``6m0s``, ``1.5s``, ``20ms``; a bare number is seconds."""
    if (plain := _number(text)) is not None:
        return plain
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        return None
    hours, minutes, seconds, milliseconds = (float(part or 0.0) for part in match.groups())
    return min(hours * 3600.0 + minutes * 60.0 + seconds + milliseconds / 1000.0, _DAY)


def _until(text: str, now: datetime) -> float | None:
    """Seconds from ``now`` until a time in RFC 3339."""
    try:
        then = datetime.fromisoformat(text)
        aware = then if then.tzinfo else then.replace(tzinfo=UTC)
        return min(max(0.0, (aware - now).total_seconds()), _DAY)
    except (ValueError, OverflowError):
        return None


def _now(headers: Mapping[str, str], now: datetime) -> datetime:
    """The provider's own clock, where it shows it: ours may be wrong by minutes."""
    try:
        date = parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError, TypeError, OverflowError):
        return now
    return date if date.tzinfo else date.replace(tzinfo=UTC)


# --- Google's error details ---------------------------------------------------------------


def _details(body: bytes) -> Iterator[Mapping[str, Any]]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return
    if isinstance(found, list) and found:
        found = found[0]
    error = found.get("error") if isinstance(found, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    if isinstance(details, list):
        yield from (detail for detail in details if isinstance(detail, dict))


def _delay(value: object) -> float | None:
    """``34s``, ``34.07s``, or the message's own form ``{"seconds": 34}``."""
    if isinstance(value, dict):
        value = value.get("seconds")
        return _number(str(value)) if isinstance(value, int | str) else None
    return _duration(value) if isinstance(value, str) and value.endswith("s") else None


def _quotas(details: tuple[Mapping[str, Any], ...]) -> Iterator[tuple[Dimension, float]]:
    """The limits of a minute that a QuotaFailure names."""
    for detail in details:
        violations = detail.get("violations")
        for violation in violations if isinstance(violations, list) else ():
            if isinstance(violation, dict) and "PerMinute" in str(violation.get("quotaId")):
                value = _number(str(violation.get("quotaValue", "")))
                if value and (name := _of_quota(str(violation["quotaId"]))):
                    yield name, value


def _of_quota(quota: str) -> Dimension | None:
    if "Request" in quota:
        return "requests"
    if "InputToken" in quota:
        return "input_tokens"
    return "output_tokens" if "OutputToken" in quota else "tokens" if "Token" in quota else None
