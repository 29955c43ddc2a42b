"""Rate limits as the three providers keep them, on any clock: what a client has to live with.

A limiter is asked before a request is answered (``admit``) and told of the output as it is
written (``delivered``). It does no I/O and never waits. ``clock`` gives seconds since 1970, so
that a test can bring its own. Limits are per minute.

* ``openai``: buckets for requests and tokens, refilled continuously. A request is charged its
  input and its whole ``max_tokens`` when it comes; a refused one still counts as a request.
* ``anthropic``: buckets for requests, input tokens (those read from the cache excepted) and
  output tokens, which are charged as they are written.
* ``gemini``: requests and input tokens in a minute's window, and no headers at all.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from llamaduo.rehearsal.admission import JSON, MINUTE, Admission, Asked, Clock, Limiter, encoded
from llamaduo.rehearsal.windows import GeminiLimiter

__all__ = [
    "Admission",
    "AnthropicLimiter",
    "Asked",
    "Clock",
    "GeminiLimiter",
    "Limiter",
    "OpenAILimiter",
    "go_duration",
    "read_limit",
]


def read_limit(text: str, clock: Clock = time.time) -> Limiter:
    """The limiter that ``text`` describes, as in ``openai:requests=500,tokens=30000``.

    Raises:
        ValueError: it describes none; the message says what would.
    """
    provider, _, rest = text.partition(":")
    known: dict[str, Callable[[Mapping[str, int], Clock], Limiter]] = {
        "openai": OpenAILimiter,
        "anthropic": AnthropicLimiter,
        "gemini": GeminiLimiter,
    }
    names = {
        "openai": ("requests", "tokens"),
        "anthropic": ("requests", "input_tokens", "output_tokens"),
        "gemini": ("requests", "input_tokens"),
    }
    pairs = [part.partition("=") for part in rest.split(",")]
    usable = provider in known and all(
        name in names[provider] and value.isdecimal() and int(value) > 0 for name, _, value in pairs
    )
    if not usable:
        forms = "; ".join(f"{p}:{','.join(f'{n}=N' for n in names[p])}" for p in names)
        raise ValueError(f"{text!r} is no rate limit. Write one of, N a minute: {forms}")
    return known[provider]({name: int(value) for name, _, value in pairs}, clock)


@dataclass(slots=True)
class _Tank:
    """A bucket that holds ``seconds`` of its limit and is refilled continuously."""

    limit: float
    at: float
    seconds: float
    level: float = math.inf

    def __post_init__(self) -> None:
        self.level = min(self.level, self.most)

    @property
    def most(self) -> float:
        return self.limit * self.seconds / MINUTE

    def refill(self, now: float) -> None:
        self.level = min(self.most, self.level + (now - self.at) * self.limit / MINUTE)
        self.at = now

    def lacks(self, amount: float) -> float:
        """Seconds until ``amount`` is there; a full one serves what is larger than it."""
        return max(0.0, (min(amount, self.most) - self.level) * MINUTE / self.limit)

    @property
    def full_in(self) -> float:
        return (self.most - self.level) * MINUTE / self.limit


class _Tanks:
    """The buckets of one limiter by name."""

    def __init__(self, limits: Mapping[str, int], clock: Clock, seconds: float) -> None:
        self._clock = clock
        self.seconds = seconds
        self.tanks: dict[str, _Tank] = {}
        self.change(limits)

    def change(self, limits: Mapping[str, int]) -> None:
        now = self.refilled()
        for name, limit in limits.items():
            level = self.tanks[name].level if name in self.tanks else math.inf
            self.tanks[name] = _Tank(limit, now, self.seconds, level)

    def refilled(self) -> float:
        now = self._clock()
        for tank in self.tanks.values():
            tank.refill(now)
        return now

    def take(self, charges: Mapping[str, float]) -> tuple[str, float]:
        """Charge all or nothing: the name of the emptiest bucket, and the seconds it lacks."""
        lacking = {
            name: self.tanks[name].lacks(amount)
            for name, amount in charges.items()
            if name in self.tanks
        }
        name = max(lacking, key=lacking.__getitem__, default="")
        wait = lacking.get(name, 0.0)
        if wait <= 0.0:
            for dimension in lacking:
                self.tanks[dimension].level -= charges[dimension]
        return name, wait


class OpenAILimiter:
    """Requests and tokens a minute. ``seconds`` is what a bucket holds: a minute's worth, or
    less where the limit is enforced over shorter spells."""

    def __init__(
        self, limits: Mapping[str, int], clock: Clock = time.time, *, seconds: float = MINUTE
    ) -> None:
        self._tanks = _Tanks(limits, clock, seconds)
        self.change = self._tanks.change

    def admit(self, asked: Asked) -> Admission:
        self._tanks.refilled()
        tokens = asked.input_tokens + asked.max_tokens
        name, wait = self._tanks.take({"requests": 1, "tokens": tokens})
        if wait <= 0.0:
            return Admission(True, self._headers())
        requests = self._tanks.tanks.get("requests")
        if requests and name != "requests" and requests.level >= 1:
            requests.level -= 1  # "unsuccessful requests contribute to your per-minute limit"
        asks = {"retry-after": str(math.ceil(wait)), "retry-after-ms": str(math.ceil(wait * 1000))}
        return Admission(False, self._headers() | JSON | asks, 429, self._body(name, tokens, wait))

    def delivered(self, output_tokens: int) -> None:
        """Nothing: all of it was charged when the request came."""

    def _headers(self) -> dict[str, str]:
        found = {}
        for name, tank in self._tanks.tanks.items():
            found[f"x-ratelimit-limit-{name}"] = f"{tank.limit:.0f}"
            found[f"x-ratelimit-remaining-{name}"] = str(max(0, math.floor(tank.level)))
            found[f"x-ratelimit-reset-{name}"] = go_duration(tank.full_in)
        return found

    def _body(self, name: str, tokens: int, wait: float) -> bytes:
        tank = self._tanks.tanks[name]
        short = {"requests": "requests per min (RPM)", "tokens": "tokens per min (TPM)"}[name]
        message = (
            f"Rate limit reached on {short}: Limit {tank.limit:.0f}, Used"
            f" {tank.most - tank.level:.0f}, Requested {1 if name == 'requests' else tokens}."
            f" Please try again in {go_duration(wait)}."
        )
        error = {"message": message, "type": name, "param": None, "code": "rate_limit_exceeded"}
        return encoded({"error": error})


class AnthropicLimiter:
    """Requests, input tokens and output tokens a minute."""

    def __init__(
        self, limits: Mapping[str, int], clock: Clock = time.time, *, seconds: float = MINUTE
    ) -> None:
        self._tanks = _Tanks(limits, clock, seconds)
        self.change = self._tanks.change

    def admit(self, asked: Asked) -> Admission:
        now = self._tanks.refilled()
        read = asked.input_tokens - asked.cached_tokens
        # Output is charged as it is written; a request passes while any of it is left.
        name, wait = self._tanks.take({"requests": 1, "input_tokens": read, "output_tokens": 0})
        if wait <= 0.0:
            return Admission(True, self._headers(now))
        asks = {"retry-after": str(math.ceil(wait))}
        return Admission(False, self._headers(now) | JSON | asks, 429, self._body(name))

    def delivered(self, output_tokens: int) -> None:
        self._tanks.refilled()
        if tank := self._tanks.tanks.get("output_tokens"):
            tank.level -= output_tokens

    def _headers(self, now: float) -> dict[str, str]:
        tanks = dict(self._tanks.tanks)
        if "input_tokens" in tanks and "output_tokens" in tanks:
            both = [tanks["input_tokens"], tanks["output_tokens"]]
            limit, level = sum(one.limit for one in both), sum(one.level for one in both)
            tanks["tokens"] = _Tank(limit, now, self._tanks.seconds, level)
        found = {}
        for name, tank in tanks.items():
            start = f"anthropic-ratelimit-{name.replace('_', '-')}"
            left = max(0, math.floor(tank.level))
            found[f"{start}-limit"] = f"{tank.limit:.0f}"
            # Tokens are shown to the nearest thousand.
            found[f"{start}-remaining"] = str(left if name == "requests" else round(left, -3))
            full = datetime.fromtimestamp(now + tank.full_in, UTC)
            found[f"{start}-reset"] = f"{full:%Y-%m-%dT%H:%M:%SZ}"
        return found

    def _body(self, name: str) -> bytes:
        limit = f"{self._tanks.tanks[name].limit:,.0f} {name.replace('_', ' ')} per minute"
        message = f"This request would exceed your organization's rate limit of {limit}."
        error = {"type": "rate_limit_error", "message": message}
        return encoded({"type": "error", "error": error, "request_id": "req_rehearsed"})


def go_duration(seconds: float) -> str:
    """A length of time as OpenAI's headers have it: ``20ms``, ``1.5s``, ``6m0s``."""
    if seconds < 1.0:
        return f"{math.ceil(seconds * 1000)}ms"
    minutes, rest = divmod(round(seconds, 3), 60.0)
    hours, minutes = divmod(minutes, 60.0)
    start = f"{hours:.0f}h{minutes:.0f}m" if hours else f"{minutes:.0f}m" if minutes else ""
    return f"{start}{round(rest, 3):g}s"
