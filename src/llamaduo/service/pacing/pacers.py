"""Which pacer is whose: one for each provider, project and model, whoever asks."""

from __future__ import annotations

import hashlib

from llamaduo.service import address
from llamaduo.service.pacing.pacer import Pacer
from llamaduo.service.pacing.replies import DIMENSIONS, Dimension
from llamaduo.service.retry import Backoff
from llamaduo.service.settings import RateSettings, ServiceSettings

_Whose = tuple[str | None, ...]
_COUNT_MINUTES = frozenset({"google", "google-cloud"})


class Pacers:
    """The pacers of this process. What they have learned lasts as long as this does, so one is
    kept for a whole run. ``learns`` is off for a service whose 429s have nothing to do with how
    fast it is asked, as in a rehearsal of faults."""

    def __init__(self, backoff: Backoff | None = None, *, learns: bool = True) -> None:
        self._backoff = backoff
        self._learns = learns
        self._pacers: dict[_Whose, Pacer] = {}

    def of(self, settings: ServiceSettings, key: str = "") -> Pacer:
        """The pacer of ``settings`` with the API key ``key``, of which only a digest is kept."""
        whose = _whose(settings, key)
        if whose not in self._pacers:
            self._pacers[whose] = Pacer(
                by_the_minute=address.provider_name(settings) in _COUNT_MINUTES,
                eager=address.is_loopback(settings),
                learns=self._learns,
                backoff=self._backoff,
            )
        pacer = self._pacers[whose]
        pacer.configure(_rates(settings.rates))
        return pacer


def _whose(settings: ServiceSettings, key: str) -> _Whose:
    """What a limit is for. Two names of one API (chat, responses) share theirs."""
    digest = hashlib.sha256(key.encode()).hexdigest()
    place = (address.base_url(settings), settings.project, settings.location)
    return (*place, digest, address.model_name(settings))


def _rates(rates: RateSettings) -> dict[Dimension, float]:
    found = {name: getattr(rates, name) for name in DIMENSIONS}
    return {name: float(limit) for name, limit in found.items() if limit is not None}
