"""One limit, kept: a bucket that refills continuously. Pure arithmetic; time comes in.

What a call takes may make the level negative: a call larger than the bucket goes when it is
full, and those behind it wait until the debt is paid back. So in any t seconds no more is taken
than ``rate · t`` and once the larger of the bucket and the largest call.
"""

from __future__ import annotations

from collections import deque

SHARE = 0.98
"""Of a limit that is used. The rest is for what the network adds: calls that were sent evenly
do not arrive evenly."""
BURST_SECONDS = 1.0
"""What a bucket holds. ``SHARE · (60 + 1) < 60``: even a limiter that counts the minute past
sees no more than the limit after a pause, which a burst of two seconds would not keep to."""
SMOOTHING = 1.1
"""What a bucket refills by where a window keeps the limit: more than the limit, so that what was
left over while a large call waited is made up for."""
SHARE_OF_WINDOW = 0.995
"""Of a limit on tokens that a window keeps: sizes are not known for certain before the reply."""
WINDOW_SECONDS = 60.5
"""A provider's minute, with room for calls that took longer to arrive than those after them."""
_LEAST = 1e-9
_DEEPEST_SECONDS = 30.0


class Taken:
    """What one call has taken from one bucket: when, how much, and what others took before."""

    __slots__ = ("amount", "at", "before")

    def __init__(self, amount: float, at: float, before: float) -> None:
        self.amount = amount
        self.at = at
        self.before = before


class Bucket:
    """``per_minute`` is what may be taken in a minute, all of it: the caller applies
    :data:`SHARE`. With ``window`` it also holds in every single minute, for providers that
    count so; that matters where one call is a large part of the limit."""

    def __init__(self, per_minute: float, now: float, *, window: float | None = None) -> None:
        self._rate = per_minute / 60.0
        self._window = window
        self._at = now
        self._level = self.most
        self._total = 0.0
        self._past: deque[Taken] = deque()
        self._in_window = 0.0

    @property
    def most(self) -> float:
        """The highest level."""
        return self._rate * BURST_SECONDS

    @property
    def has_window(self) -> bool:
        return self._window is not None

    def level(self, now: float) -> float:
        """What may be taken now; negative when it is owed."""
        self._refill(now)
        return self._level

    def set_rate(self, per_minute: float, now: float, *, window: float | None = None) -> None:
        """From ``now`` on another limit holds. What was saved up under a higher one is lost."""
        self._refill(now)
        self._rate = per_minute / 60.0
        self._window = window
        self._level = min(self._level, self.most)

    def wait(self, amount: float, now: float) -> float:
        """Seconds until ``amount`` may be taken, if nobody takes anything before."""
        self._refill(now)
        lacking = min(amount, self.most) - self._level
        wait = lacking / self._rate if lacking > _LEAST else 0.0
        return max(wait, self._window_wait(amount, now))

    def take(self, amount: float, now: float) -> Taken:
        """Take ``amount``, whether or not it is there."""
        self._refill(now)
        taken = Taken(amount, now, self._total)
        self._level -= amount
        self._total += amount
        if self._window is not None:
            self._past.append(taken)
            self._in_window += amount
        return taken

    def recall(self, amount: float, at: float) -> Taken:
        """What a call took before the bucket was there: it counts in the minute's window."""
        taken = Taken(amount, at, self._total)
        if self._window is not None:
            self._past.append(taken)
            self._in_window += amount
        return taken

    def correct(self, taken: Taken, amount: float, now: float) -> None:
        """The call took ``amount`` in truth: give the rest back, or charge what is missing."""
        self._refill(now)
        change = amount - taken.amount
        self._level = min(self.most, self._level - change)
        taken.amount = amount
        if self._past and taken.at >= self._past[0].at:
            self._in_window += change

    def heard_remaining(self, remaining: float, taken: Taken, now: float) -> None:
        """The provider had ``remaining`` left after a call. Lowers the level, never raises it.

        The figure is as old as the call: since then it was refilled, and others have taken.
        """
        self._refill(now)
        others = self._total - taken.before - taken.amount
        left = remaining + self._rate * (now - taken.at) - max(0.0, others)
        self._level = min(self._level, max(left, -self._rate * _DEEPEST_SECONDS))

    def _refill(self, now: float) -> None:
        if now > self._at:
            self._level = min(self.most, self._level + (now - self._at) * self._rate)
            self._at = now
        while self._past and self._past[0].at <= now - WINDOW_SECONDS:
            self._in_window -= self._past.popleft().amount

    def _window_wait(self, amount: float, now: float) -> float:
        if self._window is None:
            return 0.0
        surplus = self._in_window + amount - self._window
        wait = 0.0
        for taken in self._past:
            if surplus <= _LEAST:
                break
            surplus -= taken.amount
            wait = taken.at + WINDOW_SECONDS - now
        return wait
