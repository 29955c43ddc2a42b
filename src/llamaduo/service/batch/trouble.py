"""What goes wrong at a provider's batch desk, told by what the transport saw."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import httpx2
from pydantic_ai.exceptions import AgentRunError

from llamaduo.service import retry, setbacks
from llamaduo.service.ledger import RawReply
from llamaduo.service.transport import control_call

Found = TypeVar("Found")

_ANY = (httpx2.HTTPError, AgentRunError, ValueError, LookupError, TypeError, AttributeError)
"""What the SDKs raise over a lost connection, or over a reply that is none."""
_NO_SUCH_PLACE = frozenset({404, 405, 501})


class Trouble(Exception):
    """The provider refused, could not be reached, or answered with what is no answer.

    ``raw`` is its refusal; None when there was none, and then it may have done what was asked.
    """

    def __init__(self, raw: RawReply | None, what: str) -> None:
        super().__init__(what)
        self.raw = raw
        self.what = what

    @property
    def is_refusal(self) -> bool:
        """Whether the provider surely did nothing: a server error may come after the deed."""
        return self.raw is not None and self.raw.status < 500

    @property
    def is_final(self) -> bool:
        """Whether asking again will not help."""
        return self.raw is not None and not retry.is_transient(self.raw)

    @property
    def is_absence(self) -> bool:
        """Whether there is no such thing there."""
        return self.raw is not None and self.raw.status in _NO_SUCH_PLACE


async def at_the_desk(
    errors: tuple[type[Exception], ...],
    call: Callable[[], Awaitable[Found]],
    pairs: Sequence[str] = (),
) -> Found:
    """Do ``call`` as requests that ask no question; ``pairs`` are those whose text they carry.

    Raises:
        Trouble: it did not work out.
        LlamaduoError: it was not allowed to leave this machine.
    """
    with control_call("batch", tuple(pairs)) as control:
        try:
            return await call()
        except _ANY + errors as error:
            if control.failure is not None:
                raise control.failure from error
            status = control.statuses[-1] if control.statuses else 200
            raise _trouble(status, error) from error


def _trouble(status: int, error: Exception) -> Trouble:
    if status < 400:
        return Trouble(None, f"{type(error).__name__}: {error}"[:300])
    body = getattr(error, "body", None) or getattr(error, "details", None) or str(error)
    raw = RawReply(status, "application/json", json.dumps(body, default=str).encode())
    return Trouble(raw, setbacks.status_in_words(raw))
