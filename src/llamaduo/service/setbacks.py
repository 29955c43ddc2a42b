"""What a failed attempt means: a setback that another attempt may mend, or the end in words."""

from __future__ import annotations

from dataclasses import dataclass

from llamaduo.errors import QuestionRefused, ServiceRefused, ServiceUnavailable
from llamaduo.service import address, credentials, refusals
from llamaduo.service.ledger import RawReply
from llamaduo.service.settings import ServiceSettings

MOST_ATTEMPTS = 5
"""How often one question is bought at most, over all lives of a run, when what comes back is of
no use."""
MOST_BATCHES = 10
"""In how many batches one question goes in one life without an answer: for days, then."""
MOST_IN_DOUBT = 20
"""How often one question is sent at most, over all lives, without anything known of what came of
it: a question that kills the process each time is set aside."""
UNREADABLE_REASON = f"{MOST_ATTEMPTS} attempts; the last reply was no reply"
DOUBTFUL_REASON = f"{MOST_IN_DOUBT} attempts, each cut off before its reply was stored"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setback:
    """A failed attempt that may be repeated: what happened, the wait that was asked for, and
    how long it took. ``unreadable`` when it was a success that could not be read, ``batched``
    when the question was part of a batch, ``paced`` when the pacer sees to the wait."""

    what: str
    retry_after: float | None = None
    unreadable: bool = False
    seconds: float = 0.0
    batched: bool = False
    paced: bool = False


def status_in_words(raw: RawReply) -> str:
    """The status of an error reply, and what it says."""
    return f"HTTP {raw.status}: {refusals.complaint(raw) or 'no message'}"


def refused(settings: ServiceSettings, key: str, raw: RawReply) -> ServiceRefused:
    """The error for a reply that asking again will not change."""
    reason = f"refused ({status_in_words(raw)})"
    message = f"{_place(settings)} {reason}."
    hint = refusals.what_to_do(raw, settings.model, credentials.in_words(settings))
    if refusals.is_about_the_question(raw):
        return QuestionRefused(message, reason=reason, call=key, hint=hint)
    return ServiceRefused(message, hint=hint)


def declined(settings: ServiceSettings, key: str, why: str) -> QuestionRefused:
    """The error for a question that the provider's filter or the model itself declines."""
    return QuestionRefused(
        f"{_place(settings)}: one question was {why}.",
        reason=why,
        call=key,
        hint="The raw reply is in the run's ledger. Asking again would meet the same filter.",
    )


def unreadable(settings: ServiceSettings, key: str) -> QuestionRefused:
    """The error after :data:`MOST_ATTEMPTS` replies, each of which may have been charged."""
    return QuestionRefused(
        f"{_place(settings)} did not answer one question: {UNREADABLE_REASON}.",
        reason=UNREADABLE_REASON,
        call=key,
        hint="Their bodies are in the run's ledger. Check that base_url is that of the service's"
        " API.",
    )


def doubtful(settings: ServiceSettings, key: str) -> QuestionRefused:
    """The error after :data:`MOST_IN_DOUBT` attempts, each of which may have been charged."""
    return QuestionRefused(
        f"One question to {_place(settings)} is set aside: {DOUBTFUL_REASON}.",
        reason=DOUBTFUL_REASON,
        call=key,
        hint="Find out what ends the process when this question is asked: memory, or a limit of"
        " the machine.",
    )


def unavailable(settings: ServiceSettings, setbacks: int, last: Setback) -> ServiceUnavailable:
    """The error when the deadline has passed."""
    tries = "1 attempt" if setbacks == 1 else f"{setbacks} attempts"
    return ServiceUnavailable(
        f"{_place(settings)} did not answer within {settings.deadline_seconds:g} s"
        f" ({tries}; the last: {last.what}).",
        hint="Run again to resume; what was answered is kept and not paid for again.",
    )


def in_trouble(settings: ServiceSettings, last: Setback) -> str:
    """What is said while calls go on failing."""
    asks = f"; it asks for {last.retry_after:.0f} s of quiet" if last.retry_after else ""
    return (
        f"{_place(settings)} is in trouble ({last.what}{asks}). A call is tried again for"
        f" {settings.deadline_seconds:g} s (service.deadline_seconds); then the run stops,"
        " resumable."
    )


def _place(settings: ServiceSettings) -> str:
    return f"{settings.model} at {address.host(settings)}"
