"""A limit that nobody names, found by asking. Pure arithmetic; time comes in.

It is learned as requests a minute, whatever the provider counts: over a minute the sizes of
calls even out. The pace doubles every few seconds until the first refusal, which shows how many
were allowed. From there on it rises slowly, and falls back to what was allowed at each refusal;
the more refusals agree, the longer it is before the next attempt at more. Whether refusals have
to do with the pace at all is asked in :mod:`.doubt`.
"""

from __future__ import annotations

import math
from collections import deque

from llamaduo.service.pacing.doubt import Doubt

FIRST_PACE = 60.0
"""Requests a minute before anything is known."""
_MINUTE = 60.0
_LEAST, _FEW = 2.0, 10
_LEAST_OF_MINUTE = 0.8
_DOUBLING_SECONDS = 5.0
_BACK, _BACK_SURE = 0.95, 0.98
"""What is left of the pace after a refusal, of what was allowed; the second once it is known."""
_SPELL_SECONDS, _SPELL_CALLS = 20.0, 25
"""The pace is back at what was allowed after so long, and after so many calls: a small limit is
not tried out so often that the refusals add up."""
_LONGER, _MOST_DOUBT = 1.5, 6
_RISE = 0.02
_AGREES = 0.1
_CATCH_UP_SECONDS, _CATCH_UP_CALLS = 10.0, 2
"""In which the pace doubles after a refusal that came before a minute was over: a provider that
allows no bursts refused the pace of a second, and has much more for a minute."""


class Learner:
    """The pace, in requests a minute, that seems to be allowed; infinite while it is not
    learning. ``eager``: it does not begin before something was refused. ``by_the_minute``: the
    provider counts whole minutes, and does not save up what was not used."""

    def __init__(self, now: float, *, eager: bool, by_the_minute: bool = False) -> None:
        self._pace = math.inf if eager else FIRST_PACE
        self._by_the_minute = by_the_minute
        self._allowed = 0.0
        self._agreed = 0
        self._refused_at = -math.inf
        self._ceiling = 0.0
        self._tried = 0.0
        self._began = self._heard_at = now
        self._sent: deque[float] = deque()
        self._since = 0
        self._doubt = Doubt()

    @property
    def pace(self) -> float:
        """Requests a minute."""
        return self._pace

    @property
    def allowed(self) -> float:
        """What was allowed at the last refusal that meant something; 0 before the first."""
        return self._allowed

    def stop(self) -> None:
        """The limit has become known."""
        self._pace, self._allowed, self._agreed = math.inf, 0.0, 0
        self._doubt = Doubt()

    def sent(self, now: float) -> None:
        """A call was let go, and may yet be refused."""
        while self._sent and self._sent[0] <= now - _MINUTE:
            self._sent.popleft()
        self._sent.append(now)
        self._since += 1

    def accepted(self, now: float, *, held_back: bool) -> None:
        """A call was not refused. ``held_back``: the pace kept another one waiting, so that it
        can be said to have been tried."""
        passed = min(now - self._heard_at, max(1.0, 1.5 * _MINUTE / self._pace))
        self._heard_at = now
        self._doubt.answered(refused=False)
        if math.isinf(self._pace) or not held_back:
            return
        if self._allowed and not self._doubt.on_trial(now):
            self._rise(passed)
        else:
            self._pace *= 2.0 ** (passed / _DOUBLING_SECONDS)

    def _rise(self, passed: float) -> None:
        """Beyond what was allowed, or first back to it: ``passed`` is the time spent trying."""
        if self._pace < self._ceiling:
            doubling = max(_CATCH_UP_SECONDS, _CATCH_UP_CALLS * _MINUTE / self._pace)
            self._pace = min(self._ceiling, self._pace * 2.0 ** (passed / doubling))
        self._tried += passed
        self._pace = max(self._pace, self._curve())

    def refused(self, now: float, sent_at: float, *, learn: bool) -> None:
        """A call that was sent at ``sent_at`` was refused: once for all that were with it.
        Unless ``learn``, nothing is concluded from it."""
        if self._sent:
            self._sent.pop()
        self._since = max(0, self._since - 1)
        self._doubt.answered(refused=True)
        if sent_at <= self._refused_at or not learn:
            return
        self._heed(now)
        self._refused_at = self._heard_at = now
        self._since = 0

    def _heed(self, now: float) -> None:
        """Conclude from a refusal what it says about a limit, if anything."""
        estimate = self._estimate(now)
        if math.isinf(self._pace) and self._doubt.is_weak:
            return
        on_trial = self._doubt.on_trial(now)
        if on_trial and not self._doubt.found_out():
            return
        if on_trial or estimate > 0.0:
            self._conclude(max(estimate, self._doubt.least(found_out=on_trial)), now)

    def _conclude(self, estimate: float, now: float) -> None:
        """The pace falls back to what was allowed."""
        agrees = abs(estimate - self._allowed) <= _AGREES * self._allowed
        self._agreed = min(self._agreed + 1, _MOST_DOUBT) if agrees else 0
        self._allowed = estimate
        self._ceiling = 0.0 if self._by_the_minute else self._lately(now)
        self._tried = 0.0
        self._pace = self._curve()
        self._doubt.concluded(now, estimate)

    def _estimate(self, now: float) -> float:
        """Calls a minute that were allowed. 0 when none was since the last refusal: that says
        nothing about the pace, only that the wait was too short."""
        in_a_minute = float(sum(1 for at in self._sent if at > now - _MINUTE))
        if in_a_minute < _FEW and math.isfinite(self._pace):
            in_a_minute = max(in_a_minute, self._pace / 2.0)  # so few prove little
        if math.isinf(self._refused_at):
            return max(in_a_minute, _LEAST)
        if not self._since:
            return 0.0
        if self._by_the_minute:
            return max(in_a_minute, _LEAST)
        # A bucket that was full at first has let more pass than it will from now on.
        return max(min(in_a_minute, self._lately(now)), in_a_minute * _LEAST_OF_MINUTE, _LEAST)

    def _lately(self, now: float) -> float:
        """Calls a minute that were allowed since the last refusal."""
        return self._since * _MINUTE / max(now - max(self._refused_at, self._began), 1.0)

    def _curve(self) -> float:
        """From just below what was allowed back to it, then beyond, faster and faster."""
        shortest = max(_SPELL_SECONDS, _SPELL_CALLS * _MINUTE / self._allowed)
        spells = self._tried / (shortest * _LONGER**self._agreed)
        start = _BACK_SURE if self._agreed else _BACK
        if spells <= 1.0:
            return self._allowed * (start + (1.0 - start) * spells)
        return self._allowed * (1.0 + _RISE * (spells - 1.0) ** 2)
