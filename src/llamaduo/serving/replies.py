"""An answer as a client reads it: one JSON body, or a stream of events."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from llamaduo.records import FinishReason
from llamaduo.serving.asking import Refusal, Wish
from llamaduo.serving.exchange import Exchange, Gone, detail_of, exchanging
from llamaduo.serving.jobs import Delivery, Ended, Engine, Failed, Job, Piece
from llamaduo.serving.schema import shortfall
from llamaduo.wire.chat import (
    ChatChunk,
    ChatCompletion,
    ChatMessage,
    Choice,
    ChunkChoice,
    ErrorBody,
    ErrorDetail,
    Usage,
)


@dataclass(slots=True)
class _Writing:
    """What there is of every choice so far."""

    wish: Wish
    job: Job
    id: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(12)}")
    created: int = field(default_factory=lambda: int(time.time()))
    texts: list[list[str]] = field(init=False)
    ended: dict[int, Ended] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.texts = [[] for _ in range(self.job.choices)]

    async def read(self, exchange: Exchange) -> AsyncIterator[Delivery]:
        """Each delivery, until every choice has ended or one failed."""
        while len(self.ended) < self.job.choices:
            delivery = await exchange.next()
            if isinstance(delivery, Piece):
                self.texts[delivery.choice].append(delivery.text)
            elif isinstance(delivery, Ended):
                wrong = await self._shortfall(delivery)
                if wrong is not None:
                    yield wrong
                    return
                self.ended[delivery.choice] = delivery
            yield delivery
            if isinstance(delivery, Failed):
                return

    async def _shortfall(self, ended: Ended) -> Failed | None:
        """A finished choice that is not what was asked for is no answer. One that was cut off
        says so itself, by its finish reason."""
        if self.wish.schema is None or ended.finish == "length":
            return None
        text = "".join(self.texts[ended.choice])
        wrong = await asyncio.to_thread(shortfall, text, self.wish.schema)
        if wrong is None:
            return None
        message = f"The model's answer does not satisfy response_format: {wrong}."
        return Failed(message, "response_format_not_met", 422)

    @property
    def usage(self) -> Usage:
        """The prompt was read once, whatever the number of choices."""
        read = len(self.job.tokens)
        written = sum(ended.new_tokens for ended in self.ended.values())
        return Usage(prompt_tokens=read, completion_tokens=written, total_tokens=read + written)


async def whole_reply(engine: Engine, wish: Wish, job: Job, request: Request) -> Response:
    """The completion as one body.

    Raises:
        Refusal: the engine takes no request now, or failed while it was at it.
        Gone: the client left.
    """
    writing = _Writing(wish, job)
    async with exchanging(engine, job, request.receive) as exchange:
        async for delivery in writing.read(exchange):
            if isinstance(delivery, Failed):
                raise Refusal(delivery.status, detail_of(delivery))
    choices = [
        Choice(
            index=i,
            message=ChatMessage(role="assistant", content="".join(writing.texts[i])),
            finish_reason=writing.ended[i].finish,
        )
        for i in range(job.choices)
    ]
    return json_reply(
        ChatCompletion(
            id=writing.id,
            created=writing.created,
            model=job.model,
            choices=choices,
            usage=writing.usage,
        )
    )


class StreamedReply(Response):
    """The completion as server-sent events. ``[DONE]`` comes after a whole answer only; any
    other end is told by an event with an ``error``."""

    def __init__(self, engine: Engine, wish: Wish, job: Job) -> None:
        super().__init__(media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        self._engine = engine
        self._writing = _Writing(wish, job)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer. The client's leaving ends it quietly."""
        try:
            async with exchanging(self._engine, self._writing.job, receive) as exchange:
                await self._begin(send)
                async for event in self._events(exchange):
                    await _send(send, event)
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except (Gone, OSError):
            return
        except Refusal as refusal:  # before anything was sent
            await error_reply(refusal)(scope, receive, send)

    async def _begin(self, send: Send) -> None:
        headers = [(k, v) for k, v in self.raw_headers if k != b"content-length"]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for index in range(self._writing.job.choices):
            await _send(send, self._chunk(index, {"role": "assistant", "content": ""}))

    async def _events(self, exchange: Exchange) -> AsyncIterator[str]:
        async for delivery in self._writing.read(exchange):
            if isinstance(delivery, Failed):
                yield ErrorBody(error=detail_of(delivery)).model_dump_json()
                return
            if isinstance(delivery, Piece):
                yield self._chunk(delivery.choice, {"content": delivery.text})
            else:
                yield self._chunk(delivery.choice, {}, delivery.finish)
        for event in self._last():
            yield event

    def _last(self) -> Iterator[str]:
        if self._writing.wish.include_usage:
            yield self._dumped([], self._writing.usage)
        yield "[DONE]"

    def _chunk(self, index: int, delta: dict[str, str], finish: FinishReason | None = None) -> str:
        return self._dumped([ChunkChoice(index=index, delta=delta, finish_reason=finish)])

    def _dumped(self, choices: list[ChunkChoice], usage: Usage | None = None) -> str:
        chunk = ChatChunk(
            id=self._writing.id,
            created=self._writing.created,
            model=self._writing.job.model,
            choices=choices,
            usage=usage,
        )
        without = None if self._writing.wish.include_usage else {"usage"}
        return chunk.model_dump_json(exclude=without)


async def _send(send: Send, event: str) -> None:
    body = f"data: {event}\n\n".encode()
    await send({"type": "http.response.body", "body": body, "more_body": True})


def error_reply(refusal: Refusal) -> JSONResponse:
    """An error in the API's shape."""
    return json_reply(refusal.body, refusal.status, refusal.headers)


def json_reply(
    body: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """``body`` as JSON. Nobody on the way keeps it."""
    content: Any = json.loads(body.model_dump_json())
    return JSONResponse(content, status, {"Cache-Control": "no-store", **(headers or {})})


def simple_refusal(
    status: int, message: str, code: str | None = None, headers: Mapping[str, str] | None = None
) -> Refusal:
    """An error that no field of the request is to blame for."""
    return Refusal(status, ErrorDetail(message=message, code=code), headers)
