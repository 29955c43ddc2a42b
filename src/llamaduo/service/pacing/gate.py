"""The gate that a 429 closes for everyone who shares the limit. Pure; time comes in."""

from __future__ import annotations

import random

from llamaduo.service.retry import Backoff

_PROBE_SECONDS = 1.0


class Gate:
    """Open, or closed until some time. Opened after a second refusal in a row, it lets one call
    pass first: a 429 comes back at once, so no answer within a second is a good sign."""

    def __init__(self, backoff: Backoff, draw: random.Random) -> None:
        self._backoff = backoff
        self._draw = draw
        self._closed_at = 0.0
        self._opens_at = 0.0
        self._closed_before = 0.0
        self._row: list[float] = []
        self._probed_at: float | None = None

    def wait(self, now: float) -> float:
        """Seconds until a call may pass."""
        if now < self._opens_at:
            return self._opens_at - now
        if len(self._row) > 1 and self._probed_at is not None:
            return max(0.0, self._probed_at + _PROBE_SECONDS - now)
        return 0.0

    def passed(self, now: float) -> None:
        """A call passes."""
        if self._probed_at is None:
            self._probed_at = now

    def refused(self, now: float, sent_at: float, asked: float | None) -> bool:
        """A call that was sent at ``sent_at`` was refused, and asked to wait for ``asked``
        seconds. Whether it is the first refusal since the gate opened: calls that were under
        way with a refused one are refused as well, and mean nothing new."""
        is_news = sent_at >= self._opens_at
        until = now + (asked or 0.0)
        if now >= self._opens_at:
            self._closed_before = self.closed_seconds(now)
            self._closed_at = now
        if is_news:
            self._row.append(sent_at)
            most = self._backoff.ceiling(len(self._row))
            # Where the server names no time, never less than half of the backoff.
            until += self._draw.uniform(0.0 if asked else most / 2.0, most)
        self._opens_at = max(self._opens_at, until)
        self._probed_at = None
        return is_news

    def accepted(self, sent_at: float) -> None:
        """A call that was sent at ``sent_at`` was not refused, which is often known long after
        refusals of later ones: the row is of those sent after it."""
        self._row = [refused_at for refused_at in self._row if refused_at > sent_at]

    def closed_seconds(self, now: float) -> float:
        """How long the gate has been closed, all times together."""
        return self._closed_before + max(0.0, min(now, self._opens_at) - self._closed_at)
