"""The limits that are known: configured, or announced by the provider. Pure; time comes in."""

from __future__ import annotations

import math
from collections.abc import Mapping

from llamaduo.service.pacing.replies import DIMENSIONS, Dimension, Said

_BELIEVED_SECONDS, _MOST_TRIED = 300.0, 4.0


class Known:
    """Limits a minute. What is configured is never exceeded, whatever is announced."""

    def __init__(self, configured: Mapping[Dimension, float]) -> None:
        self._configured = dict(configured)
        self._announced: dict[Dimension, float] = {}
        self._quoted_at: dict[Dimension, float] = {}

    def __bool__(self) -> bool:
        return bool(self._configured or self._announced)

    def configure(self, rates: Mapping[Dimension, float]) -> None:
        """Keep to these too; where two are given for one thing, the lower holds."""
        for name, limit in rates.items():
            self._configured[name] = min(limit, self._configured.get(name, math.inf))

    def hear(self, said: Said, now: float) -> bool:
        """Believe what a reply says; whether any of it is news."""
        news = {
            name: limit
            for name, limit in {**said.limits, **said.quotas}.items()
            if self._announced.get(name) != limit or self._beyond(name, now) > 1.0
        }
        self._announced.update(news)
        self._quoted_at.update(dict.fromkeys(said.quotas, now))
        return bool(news)

    def limits(self) -> dict[Dimension, float]:
        """Each limit: the lower of what is configured and what is announced."""
        names = [n for n in DIMENSIONS if n in self._configured or n in self._announced]
        return {
            name: min(self._configured.get(name, math.inf), self._announced.get(name, math.inf))
            for name in names
        }

    def to_try(self, now: float) -> dict[Dimension, float]:
        """Each limit as it is to be kept now: a little above what was announced long ago by a
        refusal, for only another refusal would say that it was raised."""
        return {
            name: min(limit * self._beyond(name, now), self._configured.get(name, math.inf))
            for name, limit in self.limits().items()
        }

    def _beyond(self, name: Dimension, now: float) -> float:
        """After five minutes 1, then more, faster and faster."""
        spells = (now - self._quoted_at.get(name, math.inf) - _BELIEVED_SECONDS) / 60.0
        return min(_MOST_TRIED, 1.0 + 0.02 * spells**2) if spells > 0.0 else 1.0
