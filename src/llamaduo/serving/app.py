"""The HTTP side: the OpenAI chat-completions API over the models that are served."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from llamaduo.serving.asking import Refusal, parse, read
from llamaduo.serving.exchange import Gone, busy
from llamaduo.serving.guard import Access, Guard
from llamaduo.serving.jobs import Engine, Unavailable
from llamaduo.serving.replies import (
    StreamedReply,
    error_reply,
    json_reply,
    simple_refusal,
    whole_reply,
)
from llamaduo.serving.served import Served
from llamaduo.wire.chat import ErrorDetail, ModelEntry, ModelList

MOST_BYTES = 8 * 2**20
"""Of a request's body."""
_BODY_SECONDS = 60
_TOKENIZERS = 2
"""Threads that turn prompts into tokens, so that a long one holds up neither the event loop nor
the next short one."""


class Desk:
    """What every request needs: the models by name."""

    def __init__(self, served: Sequence[Served]) -> None:
        self._served: Mapping[str, Served] = {one.name: one for one in served}
        self._created = int(time.time())
        self._tokenizing = ThreadPoolExecutor(_TOKENIZERS, "llamaduo-tokenizing")

    async def completions(self, request: Request) -> Response:
        """``POST /v1/chat/completions``."""
        asked = parse(await _body(request))
        served = self._find(asked.model)
        wish = read(asked, served.generation)
        try:
            served.engine.check_room()  # before the work of tokenizing
        except Unavailable as full:
            raise busy(full) from full
        loop = asyncio.get_running_loop()
        job = await loop.run_in_executor(self._tokenizing, served.job, wish)
        if wish.stream:
            return StreamedReply(served.engine, wish, job)
        return await whole_reply(served.engine, wish, job, request)

    async def models(self, _: Request) -> Response:
        """``GET /v1/models``."""
        return json_reply(ModelList(data=[self._entry(name) for name in self._served]))

    async def model(self, request: Request) -> Response:
        """``GET /v1/models/{id}``."""
        return json_reply(self._entry(self._find(request.path_params["id"]).name))

    async def health(self, _: Request) -> Response:
        """``GET /health``: the work of all engines together; 503 when one takes no more."""
        engines = {id(one.engine): one.engine for one in self._served.values()}.values()
        loads = [engine.load for engine in engines]
        ended = any(map(_ended, engines))
        return JSONResponse(
            {
                "status": "ended" if ended else "ok",
                "engine": ", ".join(sorted({engine.kind for engine in engines})),
                "models": list(self._served),
                "running": sum(load.running for load in loads),
                "queued": sum(load.queued for load in loads),
            },
            503 if ended else 200,
        )

    def _find(self, name: str) -> Served:
        if found := self._served.get(name):
            return found
        there = ", ".join(self._served)
        message = f"There is no model {name[:200]!r} here; there is {there}."
        raise Refusal(404, ErrorDetail(message=message, param="model", code="model_not_found"))

    def _entry(self, name: str) -> ModelEntry:
        return ModelEntry(id=name, created=self._created)


def serving_app(served: Sequence[Served], access: Access) -> Starlette:
    """The application over ``served``. Nothing in it writes a prompt or an answer to a log."""
    desk = Desk(served)
    return Starlette(
        routes=[
            Route("/v1/chat/completions", desk.completions, methods=["POST"]),
            Route("/v1/models", desk.models),
            Route("/v1/models/{id:path}", desk.model),
            Route("/health", desk.health),
        ],
        middleware=[Middleware(Guard, access=access)],
        exception_handlers={
            Refusal: _refused,
            HTTPException: _http_error,
            ClientDisconnect: _gone,
            Gone: _gone,
            Exception: _bug,
        },
    )


def _ended(engine: Engine) -> bool:
    """Whether ``engine`` was stopped or broke down; a full queue is neither."""
    try:
        engine.check_room()
    except Unavailable as unavailable:
        return unavailable.retry_after is None
    return False


async def _body(request: Request) -> bytes:
    """The body, up to :data:`MOST_BYTES`. More is read and let go, so that the client gets to
    read the refusal.

    Raises:
        Refusal: 413 or 408.
    """
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for part in request.stream():
                size += len(part)
                if size <= MOST_BYTES:
                    parts.append(part)
                else:
                    parts.clear()
    except TimeoutError as error:
        raise simple_refusal(408, f"The body took longer than {_BODY_SECONDS} s.") from error
    if size > MOST_BYTES:
        raise simple_refusal(413, f"The body has {size} bytes; at most {MOST_BYTES} are taken.")
    return b"".join(parts)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)  # noqa: S101 - that is what it is registered for
    return error_reply(error)


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - that is what it is registered for
    message = f"{error.detail}. There is /v1/chat/completions, /v1/models and /health."
    return error_reply(simple_refusal(error.status_code, message, None, error.headers))


async def _bug(_: Request, __: Exception) -> Response:
    """Not foreseen. The server prints the traceback, and goes on."""
    return error_reply(simple_refusal(500, "The server failed; its log says why.", "internal"))


async def _gone(_: Request, __: Exception) -> Response:
    """The client left: there is nobody to answer."""
    return Response(status_code=400)
