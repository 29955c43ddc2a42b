"""The rehearsal service's HTTP side: the OpenAI chat-completions API on loopback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, TextIO

from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from llamaduo.rehearsal.replies import Draft, UnreadableData, body_digest, draft_reply, tokens
from llamaduo.wire.chat import (
    ChatCompletion,
    ChatMessage,
    ChatRequest,
    Choice,
    ErrorBody,
    ErrorDetail,
    ModelEntry,
    ModelList,
    Usage,
    request_error,
)

MODEL_ID: Final = "llamaduo-rehearsal-1"
MODEL: Final = f"{MODEL_ID} (a program, not a language model)"
"""The model name in every reply."""
TOKENS_PER_MESSAGE: Final = 4
"""Billed for each message of a request on top of its text."""


class Refused(Exception):
    """A request that the service does not serve: becomes a 400 in the API's error shape."""

    def __init__(self, body: ErrorBody) -> None:
        super().__init__(body.error.message)
        self.body = body


class Record:
    """An append-only list of what was asked and delivered, one JSON object a line.

    Tests count paid calls by it, from outside the process that made them. A line ``asked``
    goes before a reply, a line ``delivered`` after it: true when the client was still there.
    """

    def __init__(self, path: Path | None) -> None:
        self._file: TextIO | None = path.open("a", encoding="utf-8") if path else None

    def asked(self, digest: str, shape: str | None) -> None:
        self._write({"event": "asked", "sha256": digest, "shape": shape})

    def delivered(self, digest: str, shape: str | None, status: int, *, arrived: bool) -> None:
        line = {"event": "delivered", "sha256": digest, "shape": shape}
        self._write(line | {"status": status, "delivered": arrived})

    def close(self) -> None:
        if self._file:
            self._file.close()

    def _write(self, line: dict[str, Any]) -> None:
        if self._file:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()


def rehearsal_app(record: Record) -> Starlette:
    """The application. It answers to loopback names only, so no web page can reach it by DNS."""

    async def completions(request: Request) -> Response:
        return await _completions(request, record)

    return Starlette(
        routes=[
            Route("/v1/chat/completions", completions, methods=["POST"]),
            Route("/v1/models", _models),
            Route("/health", _health),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])],
        exception_handlers={HTTPException: _http_error, ClientDisconnect: _gone},
    )


async def _completions(request: Request, record: Record) -> Response:
    raw = await request.body()
    try:
        asked, digest = _parse(raw)
    except Refused as refusal:
        return _json(refusal.body, 400)
    record.asked(digest, asked.shape)
    reply, status = _reply(asked, digest)
    arrived = not await request.is_disconnected()
    done = BackgroundTask(record.delivered, digest, asked.shape, status, arrived=arrived)
    return _json(reply, status, done)


def _parse(raw: bytes) -> tuple[ChatRequest, str]:
    """The request and the digest of its body.

    Raises:
        Refused: not JSON, not of the right shape, or asking for what is not served.
    """
    try:
        body = json.loads(raw)
        asked = ChatRequest.model_validate(body)
    except ValidationError as error:
        raise Refused(request_error(error)) from error
    except (ValueError, RecursionError) as error:
        raise _refused(f"The body is not JSON: {error}.") from error
    if asked.stream:
        raise _refused("The rehearsal service does not stream; leave stream out.", "stream")
    if asked.tools:
        raise _refused("The rehearsal service calls no tools; leave tools out.", "tools")
    if (asked.n or 1) > 1:
        raise _refused("The rehearsal service gives one choice a request; ask again.", "n")
    return asked, body_digest(body)


def _reply(asked: ChatRequest, digest: str) -> tuple[BaseModel, int]:
    try:
        draft = draft_reply(asked, digest)
    except UnreadableData as problem:
        return ErrorBody(error=ErrorDetail(message=str(problem), param="messages")), 400
    return _completion(asked, digest, draft), 200


def _completion(asked: ChatRequest, digest: str, draft: Draft) -> ChatCompletion:
    read = sum(TOKENS_PER_MESSAGE + tokens(message.text) for message in asked.messages)
    written = tokens(draft.text)
    return ChatCompletion(
        id=f"chatcmpl-{digest[:24]}",
        created=0,  # the reply depends on the body alone, so it has no clock
        model=MODEL,
        choices=[
            Choice(
                message=ChatMessage(role="assistant", content=draft.text),
                finish_reason=draft.finish,
            )
        ],
        usage=Usage(prompt_tokens=read, completion_tokens=written, total_tokens=read + written),
    )


async def _models(_: Request) -> Response:
    return _json(ModelList(data=[ModelEntry(id=MODEL_ID)]), 200)


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok", "model": MODEL})


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - that is what it is registered for
    message = f"{error.detail}. The service knows /v1/chat/completions, /v1/models and /health."
    return _json(ErrorBody(error=ErrorDetail(message=message)), error.status_code)


async def _gone(_: Request, __: Exception) -> Response:
    """The client left before its request was complete: there is nobody to answer."""
    return Response(status_code=400)


def _refused(message: str, param: str | None = None) -> Refused:
    return Refused(ErrorBody(error=ErrorDetail(message=message, param=param)))


def _json(body: BaseModel, status: int, after: BackgroundTask | None = None) -> Response:
    return JSONResponse(body.model_dump(mode="json"), status, background=after)
