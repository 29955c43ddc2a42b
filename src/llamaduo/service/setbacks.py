"""What a failed attempt means: a setback that another attempt may mend, or the end in words."""

from __future__ import annotations

from dataclasses import dataclass

from llamaduo.errors import QuestionRefused, ServiceRefused, ServiceUnavailable
from llamaduo.service import address, refusals
from llamaduo.service.ledger import RawReply
from llamaduo.service.settings import ServiceSettings

MOST_UNREADABLE = 5
"""Replies that are paid for and cannot be read: how often one question is bought in one life."""
UNREADABLE_REASON = f"{MOST_UNREADABLE} replies that are not replies"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setback:
    """A failed attempt that may be repeated: what happened, the wait that was asked for, and
    how long it took. ``unreadable`` when it was a success that could not be read."""

    what: str
    retry_after: float | None = None
    unreadable: bool = False
    seconds: float = 0.0


def status_in_words(raw: RawReply) -> str:
    """The status of an error reply, and what it says."""
    return f"HTTP {raw.status}: {refusals.complaint(raw) or 'no message'}"


def refused(settings: ServiceSettings, key: str, raw: RawReply) -> ServiceRefused:
    """The error for a reply that asking again will not change."""
    reason = f"refused ({status_in_words(raw)})"
    message = f"{_place(settings)} {reason}."
    hint = refusals.what_to_do(raw, settings.model, address.key_variable(settings))
    if refusals.is_about_the_question(raw):
        return QuestionRefused(message, reason=reason, call=key, hint=hint)
    return ServiceRefused(message, hint=hint)


def unreadable(settings: ServiceSettings, key: str) -> QuestionRefused:
    """The error after :data:`MOST_UNREADABLE` replies, each of which may have been charged."""
    return QuestionRefused(
        f"{_place(settings)} answered one question with {UNREADABLE_REASON}.",
        reason=UNREADABLE_REASON,
        call=key,
        hint="Their bodies are in the run's ledger. Check that base_url is that of the service's"
        " API.",
    )


def unavailable(settings: ServiceSettings, setbacks: int, last: Setback) -> ServiceUnavailable:
    """The error when the deadline has passed."""
    tries = "1 attempt" if setbacks == 1 else f"{setbacks} attempts"
    return ServiceUnavailable(
        f"{_place(settings)} did not answer within {settings.deadline_seconds:g} s"
        f" ({tries}; the last: {last.what}).",
        hint="Run again to resume; what was answered is kept and not paid for again.",
    )


def _place(settings: ServiceSettings) -> str:
    return f"{settings.model} at {address.host(settings)}"
