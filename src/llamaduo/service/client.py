"""The service LLM: ask a question once, pay for it once.

Each question goes ledger first. An answered one is replayed from its raw reply; any other is
sent, with one retry layer (the SDKs' own are off), until it is answered, refused or late.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llamaduo.errors import RunIncompatible, UsageError
from llamaduo.records import Question, Reply
from llamaduo.service import address, pricing, requests, retry, setbacks
from llamaduo.service.ledger import Answered, Cost, Ledger
from llamaduo.service.protocol import ServiceLLM
from llamaduo.service.retry import Backoff
from llamaduo.service.setbacks import MOST_UNREADABLE, Setback
from llamaduo.service.settings import ServiceSettings
from llamaduo.service.transport import CALL, Call, RecordingTransport

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelResponse
    from pydantic_ai.models import Model

_CONNECT_SECONDS = 10.0
_SEEDED = frozenset({"openai-chat", "google"})
"""Providers whose API takes a seed."""


def check_key(settings: ServiceSettings) -> None:
    """Find out whether the key of ``settings`` is there.

    Raises:
        KeyMissing: the API key's environment variable is not set.
        UsageError: the provider is unknown.
    """
    address.provider_name(settings)
    address.find_key(settings)


def check_usable(settings: ServiceSettings, budget_usd: float | None) -> None:
    """Find out before anything runs whether ``settings`` can be used at all. Imports no SDK.

    Raises:
        KeyMissing: the API key's environment variable is not set.
        ExtraMissing: the provider's SDK is not installed.
        UsageError: the provider is unknown, or there is a budget and no price is known.
    """
    check_key(settings)
    address.check_sdk(settings)
    if budget_usd is not None and pricing.price_of(settings) is None:
        raise UsageError(
            f"The price of {settings.model} is not known, so a budget cannot be kept.",
            hint="Set service.price (dollars per million tokens), or leave out limits.budget_usd.",
        )


@asynccontextmanager
async def connect(
    settings: ServiceSettings,
    ledger: Ledger,
    *,
    budget_usd: float | None = None,
    backoff: Backoff | None = None,
) -> AsyncIterator[ServiceLLM]:
    """The service LLM of ``settings``, every call of which goes through ``ledger``.

    ``budget_usd`` caps what the whole ledger may spend, whoever asks.

    Raises:
        KeyMissing, ExtraMissing, UsageError: it cannot be used, and nothing was sent.
    """
    import httpx2

    check_usable(settings, budget_usd)
    from llamaduo.service.providers import build_model

    key = address.find_key(settings)
    seconds = settings.timeout_seconds
    timeout = httpx2.Timeout(seconds, connect=min(_CONNECT_SECONDS, seconds / 2))
    limits = httpx2.Limits(max_connections=settings.concurrency)
    # Loopback never goes through a proxy, whatever the environment says.
    wire = httpx2.AsyncClient(
        timeout=timeout, limits=limits, trust_env=not address.is_loopback(settings)
    )
    recording = RecordingTransport(ledger, wire, seconds=seconds, secret=key)
    async with httpx2.AsyncClient(transport=recording, timeout=timeout) as http:
        model = build_model(settings, key, http)
        yield _Client(settings, ledger, model, budget_usd, backoff or Backoff())


@dataclass(frozen=True, slots=True)
class _Order:
    """A question as it is bought, with all that its price depends on."""

    question: Question
    request: str
    key: str
    most_usd: float


class _Client:
    """A :class:`ServiceLLM`. Holds no key: the transport and the SDK do."""

    def __init__(
        self,
        settings: ServiceSettings,
        ledger: Ledger,
        model: Model,
        budget_usd: float | None,
        backoff: Backoff,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._model = model
        self._budget_usd = budget_usd
        self._backoff = backoff
        self._draw = random.Random()
        self._unreadable: Counter[str] = Counter()
        self._priced = pricing.price_of(settings) is not None
        self._seeded = address.provider_name(settings) in _SEEDED

    @property
    def name(self) -> str:
        return self._settings.model

    @property
    def concurrency(self) -> int:
        return self._settings.concurrency

    async def ask(self, question: Question) -> Reply:
        """See :meth:`ServiceLLM.ask`."""
        order = self._order(question)
        async with self._ledger.turn(order.key):
            if (answered := await self._ledger.find(order.key)) and (
                reply := await self._replay(answered, order.question)
            ):
                return reply
            return await self._buy(order)

    def _order(self, question: Question) -> _Order:
        """``question`` with a limit on its reply: nothing is asked that may cost any amount."""
        question = requests.bounded(question, self._settings.max_output_tokens)
        request = requests.canonical_request(self.name, question, self._settings.options)
        most = question.max_tokens or 0
        usd = pricing.usd(self._settings, requests.most_input_tokens(request), most)
        return _Order(question, request, requests.request_key(request), usd)

    async def _replay(self, answered: Answered, question: Question) -> Reply | None:
        """The stored answer, read again; None if it cannot be read, and then it is no answer."""
        call = Call(answered.attempt, raw=answered.raw, read_before=answered.settled)
        outcome = await self._pass(call, question)
        if isinstance(outcome, Setback):
            return None
        cost = self._cost(outcome)
        if not answered.settled:
            await self._ledger.settle(answered.attempt, cost)
        return _reply(call, outcome, cost, replayed=True)

    async def _buy(self, order: _Order) -> Reply:
        """Try until it is answered. The deadline is for the service: time that a call waits for
        the budget does not count."""
        used, wait, failed = 0.0, 0.0, 0
        while self._unreadable[order.key] < MOST_UNREADABLE:
            await asyncio.sleep(wait)
            outcome = await self._attempt(order)
            if isinstance(outcome, Reply):
                return outcome
            failed += 1
            self._unreadable[order.key] += outcome.unreadable
            wait = self._backoff.seconds(failed, outcome.retry_after, self._draw)
            used += outcome.seconds + wait
            if used > self._settings.deadline_seconds:
                raise setbacks.unavailable(self._settings, failed, outcome)
        raise setbacks.unreadable(self._settings, order.key)

    async def _attempt(self, order: _Order) -> Reply | Setback:
        clock = asyncio.get_running_loop().time
        async with self._ledger.attempt(
            order.key,
            stage=order.question.stage,
            model=self.name,
            request=order.request,
            most_usd=order.most_usd,
            budget_usd=self._budget_usd,
        ) as attempt:
            call, began = Call(attempt), clock()
            outcome = await self._pass(call, order.question)
            if isinstance(outcome, Setback):
                return replace(outcome, seconds=clock() - began)
            cost = self._cost(outcome)
            await self._ledger.settle(attempt, cost)
        return _reply(call, outcome, cost, replayed=False)

    async def _pass(self, call: Call, question: Question) -> ModelResponse | Setback:
        """One pass through the SDK and our transport."""
        from llamaduo.service.providers import UNREADABLE, send

        token = CALL.set(call)
        try:
            return await send(self._model, question, seeded=self._seeded)
        except UNREADABLE as error:
            return await self._setback(call, error)
        finally:
            CALL.reset(token)

    async def _setback(self, call: Call, error: Exception) -> Setback:
        """What went wrong, judged by what the transport saw rather than by the SDK's error."""
        if call.failure is not None:
            raise call.failure from error
        if call.fault:
            return Setback(what=call.fault)
        if call.raw is None or not call.delivered:
            raise error  # it never came to a reply: a bug, not the server's doing
        if call.read_before:  # paid for and sound: never thrown away to be bought again
            raise RunIncompatible(
                f"The stored reply {call.attempt.key[:12]} of {self.name} can no longer be read.",
                hint="Use the packages that the run was started with (see constraints.txt).",
            ) from error
        if 200 <= call.raw.status < 300:
            what = f"HTTP {call.raw.status} with a body that is not a reply"
            await self._ledger.fail(call.attempt, what, charged=True)
            return Setback(what=what, unreadable=True)
        if retry.is_transient(call.raw):
            asked = retry.seconds_asked(call.retry_after)
            return Setback(what=setbacks.status_in_words(call.raw), retry_after=asked)
        raise setbacks.refused(self._settings, call.attempt.key, call.raw) from error

    def _cost(self, response: ModelResponse) -> Cost:
        used = response.usage
        price = pricing.usd(self._settings, used.input_tokens, used.output_tokens)
        return Cost(
            response.model_name or self.name,
            used.input_tokens,
            used.output_tokens,
            price if self._priced else None,
        )


def _reply(call: Call, response: ModelResponse, cost: Cost, *, replayed: bool) -> Reply:
    from llamaduo.service.providers import finish_of, text_of

    return Reply(
        key=call.attempt.key,
        text=text_of(response),
        finish=finish_of(response),
        snapshot=cost.snapshot,
        input_tokens=cost.input_tokens,
        output_tokens=cost.output_tokens,
        usd=cost.usd or 0.0,
        replayed=replayed,
    )
