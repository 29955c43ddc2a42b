"""What a run is going to ask, and what that costs: the arithmetic, from counts and samples.

Every figure comes twice. *Expected* is the run as it usually goes: replies as long as known ones
were, or as the data suggests, at list price. *At most* is what the calls can cost if the run
needs every cycle, no two answers are the same and every reply is as long as it may be: the sum
of what the ledger holds for such calls before it sends them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from llamaduo.records import Question
from llamaduo.service import pricing, requests
from llamaduo.service.batch.offers import is_offered
from llamaduo.service.settings import ServiceSettings
from llamaduo.service.tokens import approximate_tokens

_PER_MESSAGE = 4
"""Tokens that a chat template puts around a message."""


@dataclass(frozen=True, slots=True)
class Span:
    """A figure as expected, and at most."""

    expected: float
    at_most: float

    def __add__(self, other: Span) -> Span:
        return Span(self.expected + other.expected, self.at_most + other.at_most)

    def __mul__(self, times: float) -> Span:
        return Span(self.expected * times, self.at_most * times)


NOTHING = Span(0, 0)


def total(spans: Iterable[Span]) -> Span:
    return sum(spans, NOTHING)


@dataclass(frozen=True, slots=True)
class CallSize:
    """The mean tokens of one call of a kind. ``cached`` is the expected part of the input that
    is read from the provider's cache; ``measured`` says that the expected figures are those of
    calls that this run has made."""

    input: Span
    output: Span
    cached: float = 0.0
    measured: bool = False


@dataclass(frozen=True, slots=True)
class Calls:
    """What one kind of call comes to: how many are left to make, their size and their price."""

    stage: str
    model: str
    calls: Span
    size: CallSize
    usd: Span | None
    """For all of them; None when the model's price is not known."""


@dataclass(frozen=True, slots=True)
class Answers:
    """One set of answers that is still to be judged, by every judge.

    ``prompts`` as expected and at most: a cycle that the run may not need is expected to be 0.
    ``judged`` counts, for a judge's model, the calls about this set that are answered already.
    """

    stage: str
    prompts: Span
    judged: dict[str, int]


def sampled_size(asked: Sequence[Question], longer_by: int, reply_tokens: float) -> CallSize:
    """The size of calls like ``asked``, whose ``max_tokens`` are set.

    ``longer_by`` is how many bytes longer such a request may get than these; ``reply_tokens``
    is how long a reply is expected to be. Questions of different lengths weigh the same.
    """
    if not asked:
        return CallSize(NOTHING, NOTHING)
    given = fmean(_input_tokens(question) for question in asked)
    most = fmean(_most_input_tokens(question) for question in asked) + longer_by
    limit = fmean(question.max_tokens or 0 for question in asked)
    return CallSize(Span(given, most), Span(min(reply_tokens, limit), limit))


def measured_size(size: CallSize, given: float, cached: float, replied: float) -> CallSize:
    """``size`` with the means of calls that were made in place of what was expected."""
    return CallSize(
        Span(given, max(given, size.input.at_most)),
        Span(replied, max(replied, size.output.at_most)),
        cached,
        measured=True,
    )


def judging(
    sets: Iterable[Answers], settings: ServiceSettings, size: CallSize, repeats: Span
) -> tuple[Calls, ...]:
    """The calls to one judge. ``repeats`` is how many calls one prompt takes: the different
    answers to it, each M times."""
    return tuple(
        priced(one.stage, settings, _left(one, settings.model, repeats), size) for one in sets
    )


def priced(stage: str, settings: ServiceSettings, calls: Span, size: CallSize) -> Calls:
    """``calls`` of ``size`` at the prices of ``settings``: in a batch where one is to be used,
    which is expected and not certain."""
    if pricing.price_of(settings) is None:
        return Calls(stage, settings.model, calls, size, None)
    tokens = pricing.Tokens(size.input.expected, size.output.expected, size.cached)
    batch = is_offered(settings) and calls.expected >= settings.batch.smallest
    each = Span(
        pricing.usd_of(settings, tokens, batch=batch),
        pricing.most_usd(settings, size.input.at_most, size.output.at_most),
    )
    dollars = Span(calls.expected * each.expected, calls.at_most * each.at_most)
    return Calls(stage, settings.model, calls, size, dollars)


def together(found: Iterable[Calls]) -> tuple[Span, tuple[str, ...]]:
    """Dollars of all calls whose price is known, and the models whose price is not."""
    found = tuple(found)
    unpriced = (one.model for one in found if one.usd is None and one.calls.at_most)
    return total(one.usd for one in found if one.usd), tuple(dict.fromkeys(unpriced))


def _left(one: Answers, model: str, repeats: Span) -> Span:
    """What is not answered yet. A call that was answered is never made again."""
    done = one.judged.get(model, 0)
    return Span(
        max(0.0, one.prompts.expected * repeats.expected - done),
        max(0.0, one.prompts.at_most * repeats.at_most - done),
    )


def _input_tokens(question: Question) -> int:
    texts = sum(approximate_tokens(m.content) + _PER_MESSAGE for m in question.messages)
    schema = approximate_tokens(str(dict(question.schema))) if question.schema else 0
    return texts + schema


def _most_input_tokens(question: Question) -> int:
    return requests.most_input_tokens(requests.canonical_request("", question))
