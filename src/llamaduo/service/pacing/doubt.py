"""Whether refusals have anything to do with the pace. Pure arithmetic; time comes in.

A limit refuses more the further the pace is above it. A server that is overloaded, or a quota
shared with strangers (Vertex), refuses its share of the calls however slowly they come; who
slows down after each of those ends with a call a minute. So it is tried out every so often: the
pace doubles every few seconds and refusals are not heeded. If they become much more frequent,
the limit is there, and it is as long again until the next trial. If not, the pace was not why,
and for some minutes nothing is concluded from refusals.
"""

from __future__ import annotations

import math
from collections import deque

_FIRST_SECONDS, _LONGEST_SECONDS = 30.0, 600.0
_FIRST_CALLS, _MOST_CALLS = 25, 400
"""Before a trial so much time and so many calls have passed; twice as much after one that found
the limit, so that the calls that trials cost stay few."""
_TRIAL_SECONDS = 300.0
_WORTH = 6
"""Calls that a limit concluded counts for: who is refused often has all the more reason to ask."""
_MEMORY, _LATELY, _FEWEST = 100, 50, 10
"""Answers that a share is of: as many as are remembered, the latest, and at the least."""
_ISOLATED = 0.1
"""The share of refusals up to which they are weak evidence: the gate alone bears them well."""
_TIMES, _MOST_TIMES, _MORE = 1.5, 0.5, 0.1
"""A trial is over when the share of refusals is above 1.5 times what it was, and a tenth more."""
_PROOF, _SHORTEST = 3, 20
"""So many refusals at the least, of so many answers."""
_SUNK, _FLOOR = 0.6, 0.5
"""Of the most that was allowed since the last trial: below the first the next comes soon, and
isolated refusals do not take the pace below the second."""


class Doubt:
    """Told of every answer; says whether a limit may be concluded from refusals."""

    def __init__(self) -> None:
        self._answers: deque[bool] = deque(maxlen=_MEMORY)
        self._seconds, self._calls = _FIRST_SECONDS, _FIRST_CALLS
        self._waits_since = math.inf
        self._passed = 0
        self._highest = self._lowest = 0.0
        self._ends_at = -math.inf
        self._bearable = 1.0

    @property
    def is_weak(self) -> bool:
        """Whether refusals are few, or too few yet to tell: weak evidence of a limit."""
        return self._share(_MEMORY, _LATELY) <= _ISOLATED

    def least(self, *, found_out: bool) -> float:
        """What the pace is not to fall below. Few refusals do not take it far below what was
        allowed lately, nor does the end of a trial: it was short, and says little."""
        if found_out:
            return max(self._lowest, _SUNK * self._highest)
        return _FLOOR * self._highest if self._is_isolated else 0.0

    def answered(self, *, refused: bool) -> None:
        """A call was refused, or was not."""
        self._answers.append(refused)
        self._passed += not refused

    def concluded(self, now: float, allowed: float) -> None:
        """A limit was concluded, which is to be tried out in time."""
        if math.isfinite(self._ends_at):  # the last trial ran its time, and found none
            self._seconds, self._calls = _FIRST_SECONDS, _FIRST_CALLS
            self._ends_at = -math.inf
        if math.isinf(self._waits_since):
            self._waits_since, self._passed, self._highest = now, 0, 0.0
        self._passed += _WORTH
        self._highest, self._lowest = max(self._highest, allowed), allowed

    def on_trial(self, now: float) -> bool:
        """Whether refusals are not heeded now; begins a trial when it is time for one, and lets
        it go on while refusals stay isolated."""
        if now < self._ends_at:
            return True
        if math.isfinite(self._ends_at) and self._is_isolated:
            self._ends_at = now + _TRIAL_SECONDS
            return True
        soon = self._is_sunk
        seconds, calls = (_FIRST_SECONDS, 0) if soon else (self._seconds, self._calls)
        if now < self._waits_since + seconds or self._passed < calls:
            return False
        share = self._share(_MEMORY, _FEWEST)
        self._bearable = min(_TIMES * share, _MOST_TIMES) + _MORE
        self._answers.clear()
        self._waits_since, self._ends_at = math.inf, now + _TRIAL_SECONDS
        return True

    def found_out(self) -> bool:
        """Whether refusals have become so frequent in a trial that the pace must be why; then
        it is over."""
        if sum(self._answers) < _PROOF or self._share(_LATELY, _SHORTEST) <= self._bearable:
            return False
        self._answers.clear()
        self._ends_at = -math.inf
        if not self._is_sunk:
            self._seconds = min(_LONGEST_SECONDS, 2.0 * self._seconds)
            self._calls = min(_MOST_CALLS, 2 * self._calls)
        return True

    @property
    def _is_sunk(self) -> bool:
        """Whether the pace has fallen far, as it does after chance refusals."""
        return self._lowest < _SUNK * self._highest

    @property
    def _is_isolated(self) -> bool:
        """Whether refusals are known to be few."""
        return len(self._answers) >= _LATELY and self.is_weak

    def _share(self, last: int, fewest: int) -> float:
        """Of the last answers, or of those since a trial began, that were refusals; had there
        been fewer, the rest would have passed."""
        answers = list(self._answers)[-last:]
        return sum(answers) / max(fewest, len(answers))
