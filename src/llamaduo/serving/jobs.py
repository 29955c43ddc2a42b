"""What goes to an engine and what comes back, and the seam that all engines look alike behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from llamaduo.records import FinishReason


@dataclass(frozen=True, slots=True)
class Sampling:
    """``temperature`` 0 takes the likeliest token; ``top_p`` as in ``inference.sampling``."""

    temperature: float
    top_p: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One request: ``choices`` answers to one prompt, of at most ``limit`` tokens each.

    ``seed`` names the random numbers. ``schema`` is a JSON schema to hold the answers to while
    they are generated; an engine that cannot leaves it to the check at the end.
    """

    model: str
    tokens: tuple[int, ...]
    choices: int
    limit: int
    sampling: Sampling
    seed: str
    stops: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """The next text of one choice."""

    choice: int
    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """One choice is complete. ``new_tokens`` counts the token that ended it, if one did."""

    choice: int
    finish: FinishReason
    new_tokens: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The request will not be completed; what came before is not an answer.

    ``status`` is the HTTP status of a reply that has not begun.
    """

    message: str
    code: str = "engine_error"
    status: int = 500


Delivery = Piece | Ended | Failed
Deliver = Callable[[Delivery], None]
"""Called from an engine's thread. It returns at once and never raises."""
Cancel = Callable[[], None]


class Unavailable(Exception):
    """The engine takes no request now. ``retry_after`` is in seconds; None: it will take none."""

    def __init__(self, message: str, retry_after: int | None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Load:
    """How many requests an engine is at work on, and how many wait."""

    running: int
    queued: int


class Engine(Protocol):
    """Runs jobs together, in the order in which they came, and holds one model in memory."""

    @property
    def kind(self) -> str:
        """``transformers`` or ``xllamacpp``."""

    @property
    def load(self) -> Load: ...

    def check_room(self) -> None:
        """Raise :class:`Unavailable` if :meth:`submit` would."""

    def submit(self, job: Job, deliver: Deliver) -> Cancel:
        """Queue ``job``. The returned function ends it wherever it stands, and frees its place.

        Raises:
            Unavailable: the queue is full, or the engine is being stopped.
        """

    def stop(self, failure: Failed, *, waiting_only: bool = False) -> None:
        """Take no more jobs; tell those that wait, or all of them, ``failure``."""

    def close(self) -> None:
        """End the engine's threads and let its model go."""
