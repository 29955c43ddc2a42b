"""One question to the service LLM: replayed from the ledger, or bought.

An answered one is replayed from its raw reply; any other is sent, with one retry layer (the
SDKs' own are off), until it is answered, refused or late.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llamaduo.errors import ServiceUnavailable
from llamaduo.records import Question, Reply
from llamaduo.redaction.redactor import Redactor
from llamaduo.service import address, pricing, requests, setbacks
from llamaduo.service.aliases import LookUp
from llamaduo.service.leaving import Leaving
from llamaduo.service.ledger import Answered, Attempt, History, Ledger
from llamaduo.service.pacing.pacer import GateShut, Pacer, Turn
from llamaduo.service.pacing.sizes import Need
from llamaduo.service.reading import Reading
from llamaduo.service.redacting import redacted
from llamaduo.service.retry import Backoff
from llamaduo.service.setbacks import MOST_ATTEMPTS, MOST_BATCHES, MOST_IN_DOUBT, Setback
from llamaduo.service.settings import ServiceSettings
from llamaduo.service.telling import Telling
from llamaduo.service.transport import Call

if TYPE_CHECKING:
    from pydantic_ai.models import Model

    from llamaduo.service.batch.batcher import Batcher
    from llamaduo.service.batch.gathering import Delivery

_BYTES_OF_A_TOKEN = 4
"""Roughly, for the pacer, which finds out from the replies what it is really."""


@dataclass(frozen=True, slots=True)
class _Order:
    """A question as it is bought, with all that its price depends on."""

    question: Question
    request: str
    key: str
    most_usd: float
    need: Need


class Asking:
    """A :class:`ServiceLLM`. Holds no key: the transport and the SDK do."""

    def __init__(
        self,
        settings: ServiceSettings,
        ledger: Ledger,
        model: Model,
        budget_usd: float | None,
        backoff: Backoff,
        batcher: Batcher | None,
        redactor: Redactor | None,
        pacer: Pacer,
    ) -> None:
        self._pacer = pacer
        self._redactor = redactor
        self._settings = settings
        self._ledger = ledger
        self._budget_usd = budget_usd
        self._backoff = backoff
        self._draw = random.Random()
        self._leaving = Leaving(settings.model)
        self._telling = Telling(settings, ledger)
        self._look_up = LookUp(settings, model, ledger)
        self._reading = Reading(settings, ledger, model)
        self._batcher = batcher
        self._beside = asyncio.Semaphore(address.in_flight(settings))
        """For the ordinary calls that are made beside batches."""

    @property
    def name(self) -> str:
        return self._settings.model

    @property
    def concurrency(self) -> int:
        return self._batcher.concurrency if self._batcher else address.in_flight(self._settings)

    def leave(self) -> None:
        """See :meth:`ServiceLLM.leave`."""
        self._leaving.leave()

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
        outcome = await self._reading.of(call, question)
        if isinstance(outcome, Setback):
            return None
        cost = self._reading.cost(outcome, batched=answered.batched)
        if not answered.settled:
            await self._ledger.settle(answered.attempt, cost)
        return self._reading.reply(call, question, outcome, cost, replayed=True)

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
            async with self._leaving.waiting():
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
            if not outcome.unreadable:
                self._telling.tell(failed, outcome)
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
                async with self._leaving.waiting():
                    delivery = await self._batcher.result_of_left(order.key)
                return await self._delivered(left, order, delivery)
        await self._look_up.done()
        if self._batcher is None or self._batcher.gathering is None:
            # First the turn: what only waits for it holds no budget and is not in doubt.
            async with self._turn(order, patience) as turn, self._intent(order) as attempt:
                return await self._called(attempt, order, turn)
        async with self._intent(order, self._batcher.gathering) as attempt:
            async with self._leaving.waiting():
                delivery = await self._batcher.result(attempt, order.question)
            if delivery is not None:
                return await self._delivered(attempt, order, delivery)
            return await self._beside_batches(attempt, order, patience)

    async def _beside_batches(
        self, attempt: Attempt, order: _Order, patience: float
    ) -> Reply | Setback:
        """An ordinary call, whose row and whose hold are there before its turn has come."""
        try:
            async with self._beside, self._turn(order, patience) as turn:
                return await self._called(attempt, order, turn)
        except (GateShut, ServiceUnavailable) as why:
            await self._ledger.fail(attempt, f"not sent: {why}", charged=False)
            raise

    @asynccontextmanager
    async def _turn(self, order: _Order, patience: float) -> AsyncIterator[Turn]:
        """The pacer's, unless the call is left while it waits for it."""
        async with AsyncExitStack() as stack:
            async with self._leaving.waiting():
                turns = self._pacer.turn(order.need, patience)
                turn = await stack.enter_async_context(turns)
            yield turn

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
        outcome = await self._reading.of(call, order.question)
        if isinstance(outcome, Setback):
            return replace(outcome, seconds=clock() - began + turn.closed_seconds)
        cost = self._reading.cost(outcome)
        if cost.input_tokens:
            turn.settle(cost.input_tokens, cost.output_tokens, cost.cached_tokens)
        await self._ledger.settle(attempt, cost)
        return self._reading.reply(call, order.question, outcome, cost)

    async def _delivered(
        self, attempt: Attempt, order: _Order, delivery: Delivery
    ) -> Reply | Setback:
        """What a batch brought, read like the reply to a call. It is in the ledger already."""
        assert delivery is not None  # noqa: S101 - it was asked in a batch
        if isinstance(delivery, Setback):
            return replace(delivery, batched=True)
        call = Call(attempt, raw=delivery)
        outcome = await self._reading.of(call, order.question)
        if isinstance(outcome, Setback):
            return replace(outcome, batched=True)
        cost = self._reading.cost(outcome, batched=True)
        await self._ledger.settle(attempt, cost)
        return self._reading.reply(call, order.question, outcome, cost)
