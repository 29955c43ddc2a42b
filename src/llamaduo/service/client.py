"""The service LLM: ask a question once, pay for it once.

Each question goes ledger first. An answered one is replayed from its raw reply; any other is
sent, with one retry layer (the SDKs' own are off), until it is answered, refused or late.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llamaduo.errors import RunIncompatible, UsageError
from llamaduo.records import Question, Reply
from llamaduo.redaction.redactor import Redactor
from llamaduo.service import address, aliases, credentials, pricing, requests, retry, setbacks
from llamaduo.service.egress import Door, check_allowed
from llamaduo.service.ledger import Answered, Attempt, Cost, History, Ledger
from llamaduo.service.pacing.pacer import GateShut, Pacer, Turn
from llamaduo.service.pacing.pacers import Pacers
from llamaduo.service.pacing.replies import TOO_MANY
from llamaduo.service.pacing.sizes import Need
from llamaduo.service.protocol import ServiceLLM
from llamaduo.service.redacting import redacted
from llamaduo.service.retry import Backoff
from llamaduo.service.setbacks import MOST_ATTEMPTS, MOST_BATCHES, MOST_IN_DOUBT, Setback
from llamaduo.service.settings import ServiceSettings
from llamaduo.service.transport import CALL, Call, RecordingTransport

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelResponse
    from pydantic_ai.models import Model

    from llamaduo.service.batch.batcher import Batcher
    from llamaduo.service.batch.gathering import Delivery

_CONNECT_SECONDS = 10.0
_BYTES_OF_A_TOKEN = 4
"""Roughly, for the pacer, which finds out from the replies what it is really."""


def check_key(settings: ServiceSettings) -> None:
    """Find out whether the key or the cloud's credentials of ``settings`` are there.

    Raises:
        KeyMissing: they are not.
        UsageError: the provider is unknown, or lacks service.project or service.location.
    """
    credentials.check(settings)


def check_usable(settings: ServiceSettings, budget_usd: float | None) -> None:
    """Find out before anything runs whether ``settings`` can be used at all. Imports no SDK.

    Raises:
        KeyMissing: the API key's environment variable is not set.
        ExtraMissing: the provider's SDK is not installed.
        UsageError: the provider is unknown, its host is not among service.egress_hosts, or there
            is a budget and no price is known.
    """
    check_allowed(settings)
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
    redactor: Redactor | None = None,
    pacers: Pacers | None = None,
) -> AsyncIterator[ServiceLLM]:
    """The service LLM of ``settings``, every call of which goes through ``ledger``.

    ``budget_usd`` caps what the whole ledger may spend, whoever asks. ``redactor`` takes personal
    data out of every question before its key is made; replies keep the stand-ins. Connections that
    share ``pacers`` share the limits of a provider, project and model.

    Raises:
        KeyMissing, ExtraMissing, UsageError: it cannot be used, and nothing was sent.
        ServiceRefused: the provider has no such model.
    """
    import httpx2

    check_usable(settings, budget_usd)
    from llamaduo.service.batch.batcher import batching
    from llamaduo.service.providers import build_model

    key = credentials.key_of(settings)
    seconds = settings.timeout_seconds
    timeout = httpx2.Timeout(seconds, connect=min(_CONNECT_SECONDS, seconds / 2))
    limits = httpx2.Limits(max_connections=address.in_flight(settings))
    # Loopback never goes through a proxy, whatever the environment says.
    wire = httpx2.AsyncClient(
        timeout=timeout, limits=limits, trust_env=not address.is_loopback(settings)
    )
    recording = RecordingTransport(
        ledger,
        wire,
        seconds=seconds,
        secret=key,
        credentials=credentials.credentials_of(settings),
        door=Door(settings, redactor),
    )
    async with httpx2.AsyncClient(transport=recording, timeout=timeout) as http:
        model = build_model(settings, key.reveal(), http)
        await aliases.resolve(settings, model, ledger)
        seeded = address.provider(settings).seeded
        pacer = (pacers or Pacers(backoff)).of(settings, key.reveal())
        async with batching(settings, ledger, model, seeded=seeded) as batcher:
            yield _Client(
                settings, ledger, model, budget_usd, backoff or Backoff(), batcher, redactor, pacer
            )


@dataclass(frozen=True, slots=True)
class _Order:
    """A question as it is bought, with all that its price depends on."""

    question: Question
    request: str
    key: str
    most_usd: float
    need: Need


class _Client:
    """A :class:`ServiceLLM`. Holds no key: the transport and the SDK do."""

    def __init__(
        self,
        settings: ServiceSettings,
        ledger: Ledger,
        model: Model,
        budget_usd: float | None,
        backoff: Backoff,
        batcher: Batcher | None = None,
        redactor: Redactor | None = None,
        pacer: Pacer | None = None,
    ) -> None:
        self._pacer = pacer or Pacer(eager=True)
        self._redactor = redactor
        self._settings = settings
        self._ledger = ledger
        self._model = model
        self._budget_usd = budget_usd
        self._backoff = backoff
        self._draw = random.Random()
        self._priced = pricing.price_of(settings) is not None
        self._free = pricing.most_usd(settings, 1, 1) == 0
        self._seeded = address.provider(settings).seeded
        self._batcher = batcher
        self._beside = asyncio.Semaphore(address.in_flight(settings))
        """For the ordinary calls that are made beside batches."""

    @property
    def name(self) -> str:
        return self._settings.model

    @property
    def concurrency(self) -> int:
        return self._batcher.concurrency if self._batcher else address.in_flight(self._settings)

    async def ask(self, question: Question) -> Reply:
        """See :meth:`ServiceLLM.ask`."""
        order = self._order(question)
        async with self._ledger.turn(order.key):
            history = await self._ledger.find(order.key)
            if (answered := history.answered) and (
                reply := await self._replay(answered, order.question)
            ):
                return replace(reply, spoiled=history.spoiled)
            return await self._buy(order, history)

    def _order(self, question: Question) -> _Order:
        """``question`` redacted, and with a limit on its reply: nothing is asked that may cost any
        amount."""
        question = redacted(question, self._redactor)
        question = requests.bounded(question, self._settings.max_output_tokens)
        request = requests.canonical_request(self.name, question, self._settings.options)
        most = question.max_tokens or 0
        usd = pricing.most_usd(self._settings, requests.most_input_tokens(request), most)
        need = Need(len(request) // _BYTES_OF_A_TOKEN, most)
        return _Order(question, request, requests.request_key(request), usd, need)

    async def _replay(self, answered: Answered, question: Question) -> Reply | None:
        """The stored answer, read again; None if it cannot be read, and then it is no answer."""
        call = Call(answered.attempt, raw=answered.raw, read_before=answered.settled)
        outcome = await self._pass(call, question)
        if isinstance(outcome, Setback):
            return None
        cost = self._cost(outcome, batched=answered.batched)
        if not answered.settled:
            await self._ledger.settle(answered.attempt, cost)
        return self._reply(call, question, outcome, cost, replayed=True)

    async def _buy(self, order: _Order, history: History) -> Reply:
        """Try until it is answered. The deadline is for the service: time that a call waits for
        the budget or for its turn does not count. Replies that are no replies count over all
        lives of the run."""
        waits = self._batcher is not None and self._batcher.left(order.key) is not None
        if history.in_doubt - waits >= MOST_IN_DOUBT:
            raise setbacks.doubtful(self._settings, order.key)
        spoiled = history.spoiled + bool(history.answered)  # an answer that could not be read
        used, wait, failed = 0.0, 0.0, 0
        while order.question.again + spoiled < MOST_ATTEMPTS:
            await asyncio.sleep(wait)
            outcome = await self._attempt(order, self._settings.deadline_seconds - used)
            if isinstance(outcome, Reply):
                return replace(outcome, spoiled=spoiled)
            failed += 1
            spoiled += outcome.unreadable
            wait = self._backoff.seconds(failed, outcome.retry_after, self._draw)
            if outcome.batched or outcome.paced:
                # The next batch is wait enough, and gathers those that come at once; after a 429
                # the pacer keeps everyone waiting.
                wait = 0.0
            used += outcome.seconds + wait
            ahead = outcome.retry_after if outcome.paced else None
            if used + (ahead or 0.0) > self._settings.deadline_seconds or (
                outcome.batched and failed >= MOST_BATCHES
            ):
                raise setbacks.unavailable(self._settings, failed, outcome)
        raise setbacks.unreadable(self._settings, order.key)

    async def _attempt(self, order: _Order, patience: float) -> Reply | Setback:
        """One attempt, unless the service wants none of any call for longer than ``patience``."""
        try:
            return await self._sent(order, patience)
        except GateShut as shut:
            what = f"after a 429 it wants nothing for another {shut.seconds:.0f} s"
            return Setback(what=what, paced=True, seconds=patience + shut.seconds)

    async def _sent(self, order: _Order, patience: float) -> Reply | Setback:
        if self._batcher and (left := self._batcher.left(order.key)):
            with self._ledger.rejoin():
                delivery = await self._batcher.result_of_left(order.key)
                return await self._delivered(left, order, delivery)
        if self._batcher is None or self._batcher.gathering is None:
            # First the turn: what only waits for it holds no budget and is not in doubt.
            turns = self._pacer.turn(order.need, patience)
            async with turns as turn, self._intent(order) as attempt:
                return await self._called(attempt, order, turn)
        async with self._intent(order, self._batcher.gathering) as attempt:
            delivery = await self._batcher.result(attempt, order.question)
            if delivery is not None:
                return await self._delivered(attempt, order, delivery)
            async with self._beside, self._pacer.turn(order.need) as turn:
                return await self._called(attempt, order, turn)

    def _intent(
        self, order: _Order, batch: str | None = None
    ) -> AbstractAsyncContextManager[Attempt]:
        """The row that says that ``order`` is about to be sent, or is in ``batch``."""
        return self._ledger.attempt(
            order.key,
            stage=order.question.stage,
            model=self.name,
            request=order.request,
            most_usd=order.most_usd,
            budget_usd=self._budget_usd,
            host=address.host(self._settings),
            pairs=order.question.about,
            instead_of=order.question.instead_of,
            batch=batch,
            trusted=batch is not None,
        )

    async def _called(self, attempt: Attempt, order: _Order, turn: Turn) -> Reply | Setback:
        """An ordinary call. It took as long as it was under way or not wanted; the time in which
        others went first is not the service's."""
        clock = asyncio.get_running_loop().time
        call, began = Call(attempt, turn=turn), clock()
        outcome = await self._pass(call, order.question)
        if isinstance(outcome, Setback):
            return replace(outcome, seconds=clock() - began + turn.closed_seconds)
        cost = self._cost(outcome)
        if cost.input_tokens:
            turn.settle(cost.input_tokens, cost.output_tokens, cost.cached_tokens)
        await self._ledger.settle(attempt, cost)
        return self._reply(call, order.question, outcome, cost)

    async def _delivered(
        self, attempt: Attempt, order: _Order, delivery: Delivery
    ) -> Reply | Setback:
        """What a batch brought, read like the reply to a call. It is in the ledger already."""
        assert delivery is not None  # noqa: S101 - it was asked in a batch
        if isinstance(delivery, Setback):
            return replace(delivery, batched=True)
        call = Call(attempt, raw=delivery)
        outcome = await self._pass(call, order.question)
        if isinstance(outcome, Setback):
            return replace(outcome, batched=True)
        cost = self._cost(outcome, batched=True)
        await self._ledger.settle(attempt, cost)
        return self._reply(call, order.question, outcome, cost)

    async def _pass(self, call: Call, question: Question) -> ModelResponse | Setback:
        """One pass through the SDK and our transport."""
        from llamaduo.service.providers import UNREADABLE, check, send

        token = CALL.set(call)
        try:
            response = await send(self._model, question, seeded=self._seeded)
            check(response, call.raw.body if call.raw else b"")
            return response
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
            paced = call.turn is not None and call.raw.status == TOO_MANY
            what = setbacks.status_in_words(call.raw)
            return Setback(what=what, retry_after=asked, paced=paced)
        raise setbacks.refused(self._settings, call.attempt.key, call.raw) from error

    def _cost(self, response: ModelResponse, *, batched: bool = False) -> Cost:
        used = response.usage
        tokens = pricing.Tokens(
            used.input_tokens,
            used.output_tokens,
            used.cache_read_tokens,
            used.cache_write_tokens,
            used.cache_write_1h_tokens,
        ).plausible()
        measured = self._free or min(tokens.input, tokens.output) > 0
        return Cost(
            response.model_name or self.name,
            int(tokens.input),
            int(tokens.output),
            self._usd(tokens, batched=batched) if measured else None,
            int(tokens.cached),
            measured,
        )

    def _usd(self, tokens: pricing.Tokens, *, batched: bool) -> float | None:
        return pricing.usd_of(self._settings, tokens, batch=batched) if self._priced else None

    def _reply(
        self,
        call: Call,
        question: Question,
        response: ModelResponse,
        cost: Cost,
        *,
        replayed: bool = False,
    ) -> Reply:
        """The answer, once it is settled.

        Raises:
            QuestionRefused: it is a refusal, which is stored like an answer and not bought again.
        """
        from llamaduo.service.providers import finish_of, refusal_of, text_of

        if why := refusal_of(response, question):
            raise setbacks.declined(self._settings, call.attempt.key, why)
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
