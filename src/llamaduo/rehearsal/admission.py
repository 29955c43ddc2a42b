"""What every rate limit looks at, and what it answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

Clock = Callable[[], float]

MINUTE: Final = 60.0
JSON: Final = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a limiter looks at in a request: tokens read, of them from the cache, and the most
    that may be written."""

    input_tokens: int
    max_tokens: int
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether a request may be answered. ``headers`` go with the reply either way; ``status``
    and ``body`` are the reply when it may not."""

    allowed: bool
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200
    body: bytes = b""


class Limiter(Protocol):
    """What every provider's limiter does."""

    def admit(self, asked: Asked) -> Admission:
        """Charge ``asked``, or refuse it."""

    def delivered(self, output_tokens: int) -> None:
        """So many output tokens were written; may be called several times for one reply."""

    def change(self, limits: Mapping[str, int]) -> None:
        """From now on these limits hold; those that are not named stay."""


def encoded(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body).encode()
