"""A service LLM that only remembers: it answers from a ledger and cannot send anything.

A stored reply goes through the same SDK and the same reading as when it arrived, so what a run
recorded can be derived again offline, without a key.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx2

from llamaduo.errors import QuestionRefused, ServiceRefused
from llamaduo.records import Question, Reply
from llamaduo.redaction.redactor import Redactor
from llamaduo.service import address, requests, setbacks
from llamaduo.service.calls import CallRecord, Calls
from llamaduo.service.ledger import Attempt, RawReply
from llamaduo.service.redacting import redacted
from llamaduo.service.settings import ServiceSettings
from llamaduo.service.transport import CALL, Call

if TYPE_CHECKING:
    from pydantic_ai.models import Model

NOT_STORED = "the ledger has no answer to this request"
UNREADABLE_REPLY = "the stored reply cannot be read"

Observe = Callable[[CallRecord, str, tuple[int, int]], None]
"""Takes an answer that was read: its row, the model that the reply names, tokens in and out."""
_MOST_KEPT = 20_000
_NO_KEY = "no-key-nothing-is-sent"


class Replay:
    """Follows :class:`~llamaduo.service.protocol.ServiceLLM`.

    What the service refused once is refused again with the same reason. A question that the
    ledger has no answer to is refused as :data:`NOT_STORED`, a reply that is no reply any more
    as :data:`UNREADABLE_REPLY`: one damaged call does not keep the others from being read.
    """

    concurrency = 1

    def __init__(
        self,
        model: Model,
        calls: Calls,
        name: str,
        most_tokens: int,
        options: Mapping[str, Any],
        refuse: Callable[[str, RawReply], ServiceRefused],
        observe: Observe,
        redactor: Redactor | None = None,
    ) -> None:
        self._redactor = redactor
        self.name = name
        self._model = model
        self._calls = calls
        self._most_tokens = most_tokens
        self._options = options
        self._refuse = refuse
        self._observe = observe
        self._kept: dict[str, Reply | QuestionRefused] = {}

    def leave(self) -> None:
        """See :meth:`ServiceLLM.leave`. Nothing is waited for."""

    async def ask(self, question: Question) -> Reply:
        """The stored reply to ``question``.

        Raises:
            QuestionRefused: there is none, or it was a refusal.
        """
        question = requests.bounded(redacted(question, self._redactor), self._most_tokens)
        request = requests.canonical_request(self.name, question, self._options)
        key = requests.request_key(request)
        if key not in self._kept:
            if len(self._kept) >= _MOST_KEPT:  # equal questions come close together
                self._kept.clear()
            self._kept[key] = await self._read(key, question)
        if isinstance(kept := self._kept[key], QuestionRefused):
            raise kept
        return kept

    async def _read(self, key: str, question: Question) -> Reply | QuestionRefused:
        attempts = self._calls.attempts(key)
        stored = next((one for one in attempts if one.state == "answered"), None)
        if stored is None or stored.reply is None:
            raise self._refused(key, question, attempts)
        reply, declined = await self._through_the_sdk(stored, question)
        self._observe(stored, reply.snapshot, (reply.input_tokens, reply.output_tokens))
        if declined:
            return QuestionRefused(declined, call=key)
        return replace(reply, spoiled=_spoiled(attempts))

    async def _through_the_sdk(
        self, stored: CallRecord, question: Question
    ) -> tuple[Reply, str | None]:
        """The stored reply, and why it is none if it is a refusal."""
        from llamaduo.service.providers import (
            UNREADABLE,
            check,
            finish_of,
            refusal_of,
            send,
            text_of,
        )

        attempt = Attempt(stored.key, stored.attempt, 0.0, self.name)
        token = CALL.set(Call(attempt, raw=_raw(stored)))
        try:
            response = await send(self._model, question, seeded=False)
            check(response, stored.reply or b"")
        except UNREADABLE as error:
            raise QuestionRefused(UNREADABLE_REPLY, call=stored.key) from error
        finally:
            CALL.reset(token)
        reply = Reply(
            key=stored.key,
            text=text_of(response),
            finish=finish_of(response),
            snapshot=response.model_name or self.name,
            input_tokens=response.usage.input_tokens,
            output_tokens=response.usage.output_tokens,
            usd=stored.usd or 0.0,
            replayed=True,
        )
        return reply, refusal_of(response, question)

    def _refused(
        self, key: str, question: Question, attempts: Sequence[CallRecord]
    ) -> QuestionRefused:
        """Why the run has no answer to ``key``, as it was told then."""
        if question.again + _spoiled(attempts) >= setbacks.MOST_ATTEMPTS:
            return QuestionRefused(setbacks.UNREADABLE_REASON, call=key)
        if sum(one.state == "sent" for one in attempts) >= setbacks.MOST_IN_DOUBT:
            return QuestionRefused(setbacks.DOUBTFUL_REASON, call=key)
        replies = [_raw(one) for one in attempts if one.reply is not None]
        last = replies[-1] if replies else None
        if last is None or 200 <= last.status < 300:
            return QuestionRefused(NOT_STORED)
        refused = self._refuse(key, last)
        if isinstance(refused, QuestionRefused):
            return refused
        return QuestionRefused(NOT_STORED)


@asynccontextmanager
async def replaying(
    settings: ServiceSettings, calls: Calls, observe: Observe, redactor: Redactor | None = None
) -> AsyncIterator[Replay]:
    """The service LLM of ``settings`` as ``calls`` remember it. ``observe`` sees every answer
    that is read, once. ``redactor`` is the run's, so that the same keys come of the same
    questions.

    Raises:
        ExtraMissing: the provider's SDK is not installed; its replies cannot be read without.
    """
    address.check_sdk(settings)
    from llamaduo.service.providers import build_model

    async with httpx2.AsyncClient(transport=_Shelf(), trust_env=False, timeout=60.0) as http:
        yield Replay(
            build_model(settings, _NO_KEY, http),
            calls,
            settings.model,
            settings.max_output_tokens,
            settings.options,
            lambda key, raw: setbacks.refused(settings, key, raw),
            observe,
            redactor,
        )


class _Shelf(httpx2.AsyncBaseTransport):
    """Hands over the stored reply of the call under way. It has no network to send to."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        call = CALL.get(None)
        if call is None or call.raw is None:
            raise RuntimeError(f"{request.url.host}: nothing is sent in a replay")
        return httpx2.Response(
            call.raw.status,
            headers={"content-type": call.raw.content_type},
            content=call.raw.body,
            request=request,
        )


def _spoiled(attempts: Sequence[CallRecord]) -> int:
    """How many of them brought what is no reply at all."""
    return sum(one.state == "failed" and 200 <= (one.status or 0) < 300 for one in attempts)


def _raw(stored: CallRecord) -> RawReply:
    return RawReply(stored.status or 0, stored.content_type or "", stored.reply or b"")
