"""What batches need of a provider, and what it says of one. The three providers' desks are in
the modules beside this one; they speak through the provider's own SDK."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from llamaduo.errors import ServiceRefused
from llamaduo.service.batch.outcomes import Outcome

if TYPE_CHECKING:
    from pydantic_ai.models import Model

_ALLOWED = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Look:
    """A batch as its provider describes it now.

    ``done`` and ``total`` are None where the provider does not say. ``places`` are where its
    results lie. ``cut`` says why it ended before all were run, if it did. ``failure`` is what the
    provider says when it refused the batch as a whole, ``crowded`` whether that was because too
    much is queued there already.
    """

    id: str
    created_at: datetime
    ended: bool
    done: int | None = None
    total: int | None = None
    places: tuple[str, ...] = ()
    inputs: str = ""
    cut: str = ""
    failure: str = ""
    crowded: bool = False


class Desk(Protocol):
    """Where the batches of one provider are looked after. ``errors`` are those that its SDK
    raises when the provider refuses or cannot be reached."""

    errors: tuple[type[Exception], ...]

    async def look(self, batch: str) -> Look:
        """How the batch with the provider's id ``batch`` is doing."""

    async def outcomes(self, look: Look) -> dict[str, Outcome]:
        """How the requests of an ended batch ended, by custom id. Some may be missing."""

    async def recent(self, since: datetime) -> list[Look]:
        """Every batch of this account that was created at ``since`` or later."""

    async def holds(self, look: Look, custom_ids: frozenset[str], /) -> bool | None:
        """Whether the batch is the one with these requests; None when only its results tell."""

    async def forget(self, look: Look, /) -> None:
        """Delete what was uploaded for a batch whose results are safe, where that is possible."""


def custom_id(key: str, attempt: int) -> str:
    """The id that a request has in its batch: at most 64 letters, digits and dashes.

    It names the row of the ledger. A sha256 cut to 192 bits stays unique.
    """
    found = f"{key[:48]}-{attempt}"
    assert _ALLOWED.fullmatch(found)  # noqa: S101 - keys are hex
    return found


def desk_of(model: Model) -> Desk | None:
    """The desk for ``model``; None if its provider has no batch API."""
    if model.batch_max_requests is None:
        return None
    if model.system == "anthropic":
        from llamaduo.service.batch.anthropic_desk import AnthropicDesk

        return AnthropicDesk(model)
    if model.system.startswith("google"):
        from llamaduo.service.batch.google_desk import GoogleDesk

        return GoogleDesk(model)
    from llamaduo.service.batch.openai_desk import OpenAIDesk

    return OpenAIDesk(model)


def refused(model: str, what: str) -> ServiceRefused:
    """The error for a batch that the provider will not take."""
    return ServiceRefused(
        f"{model} did not take the batch: {what}.",
        hint="Mend that, or set service.mode: calls, then run again to resume.",
    )


def lines_of(content: bytes) -> Sequence[bytes]:
    """The lines of a JSON Lines file. Only a line feed ends one: a reply may hold any other
    separator that Unicode knows."""
    return [line for line in content.split(b"\n") if line.strip()]
