"""The service LLM: ask a question once, pay for it once.

Each question goes ledger first. An answered one is replayed from its raw reply; any other is
sent, with one retry layer (the SDKs' own are off), until it is answered, refused or late.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llamaduo.errors import RunIncompatible, ServiceRefused, ServiceUnavailable, UsageError
from llamaduo.records import Question, Reply
from llamaduo.service import address, pricing, requests, retry
from llamaduo.service.ledger import Answered, Cost, Ledger
from llamaduo.service.protocol import ServiceLLM
from llamaduo.service.retry import Backoff
from llamaduo.service.settings import ServiceSettings
from llamaduo.service.transport import CALL, Call, RecordingTransport

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelResponse
    from pydantic_ai.models import Model

_CONNECT_SECONDS = 10.0
_SEEDED = frozenset({"openai-chat", "google"})
"""Providers whose API takes a seed."""


def check_key(settings: ServiceSettings) -> None:
    """Find out before anything runs whether ``settings`` can be used at all.

    Raises:
        KeyMissing: the API key's environment variable is not set.
        UsageError: the provider is unknown, or ``base_url`` is no address.
    """
    address.provider_name(settings)
    address.base_url(settings)
    address.find_key(settings)


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

    from llamaduo.service.providers import build_model

    check_key(settings)
    _check_budget(settings, budget_usd)
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


def _check_budget(settings: ServiceSettings, budget_usd: float | None) -> None:
    if budget_usd is not None and pricing.price_of(settings) is None:
        raise UsageError(
            f"The price of {settings.model} is not known, so a budget cannot be kept.",
            hint="Set service.price (dollars per million tokens), or leave out limits.budget_usd.",
        )


@dataclass(frozen=True, slots=True)
class _Setback:
    """A failed attempt that may be repeated: what happened, and the wait that was asked for."""

    what: str
    retry_after: float | None = None


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
        request = requests.canonical_request(self.name, question)
        key = requests.request_key(request)
        async with self._ledger.turn(key):
            if (answered := await self._ledger.find(key)) and (
                reply := await self._replay(answered, question)
            ):
                return reply
            return await self._buy(key, request, question)

    async def _replay(self, answered: Answered, question: Question) -> Reply | None:
        """The stored answer, read again; None if it cannot be read, and then it is no answer."""
        call = Call(answered.attempt, raw=answered.raw, read_before=answered.settled)
        outcome = await self._pass(call, question)
        if isinstance(outcome, _Setback):
            return None
        cost = self._cost(outcome)
        if not answered.settled:
            await self._ledger.settle(answered.attempt, cost)
        return _reply(call, outcome, cost, replayed=True)

    async def _buy(self, key: str, request: str, question: Question) -> Reply:
        clock = asyncio.get_running_loop().time
        started, setbacks = clock(), 0
        while True:
            outcome = await self._attempt(key, request, question)
            if isinstance(outcome, Reply):
                return outcome
            setbacks += 1
            wait = self._backoff.seconds(setbacks, outcome.retry_after, self._draw)
            if clock() + wait - started > self._settings.deadline_seconds:
                raise self._unavailable(setbacks, outcome)
            await asyncio.sleep(wait)

    async def _attempt(self, key: str, request: str, question: Question) -> Reply | _Setback:
        attempt = await self._ledger.intend(
            key,
            stage=question.stage,
            model=self.name,
            request=request,
            most_usd=pricing.usd(self._settings, *requests.most_tokens(request, question)),
            budget_usd=self._budget_usd,
        )
        call = Call(attempt)
        outcome = await self._pass(call, question)
        if isinstance(outcome, _Setback):
            return outcome
        cost = self._cost(outcome)
        await self._ledger.settle(attempt, cost)
        return _reply(call, outcome, cost, replayed=False)

    async def _pass(self, call: Call, question: Question) -> ModelResponse | _Setback:
        """One pass through the SDK and our transport."""
        from llamaduo.service.providers import UNREADABLE, send

        token = CALL.set(call)
        try:
            return await send(self._model, question, seeded=self._seeded)
        except UNREADABLE as error:
            return await self._setback(call, error)
        finally:
            CALL.reset(token)

    async def _setback(self, call: Call, error: Exception) -> _Setback:
        """What went wrong, judged by what the transport saw rather than by the SDK's error."""
        if call.failure is not None:
            raise call.failure from error
        if call.fault:
            return _Setback(call.fault)
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
            return _Setback(what)
        said = retry.complaint(call.raw) or "no message"
        if retry.is_transient(call.raw):
            asked = retry.seconds_asked(call.retry_after)
            return _Setback(f"HTTP {call.raw.status}: {said}", asked)
        raise ServiceRefused(
            f"{self.name} at {address.host(self._settings)} refused"
            f" (HTTP {call.raw.status}): {said}",
            hint=retry.what_to_do(call.raw, self.name, address.key_variable(self._settings)),
        ) from error

    def _unavailable(self, setbacks: int, last: _Setback) -> ServiceUnavailable:
        tries = "1 attempt" if setbacks == 1 else f"{setbacks} attempts"
        return ServiceUnavailable(
            f"{self.name} at {address.host(self._settings)} did not answer within"
            f" {self._settings.deadline_seconds:g} s ({tries}; the last: {last.what}).",
            hint="Run again to resume; what was answered is kept and not paid for again.",
        )

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
