"""OpenAI's chat completions, which many other servers speak too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from llamaduo.records import Message
from llamaduo.rehearsal.asked import Asked, Refusal, body_digest, refused, wanted_shape
from llamaduo.rehearsal.catalogue import MODEL
from llamaduo.rehearsal.dialect import Body, Dialect
from llamaduo.rehearsal.replies import Draft, Finish, tokens, tokens_read
from llamaduo.wire.chat import (
    ChatCompletion,
    ChatMessage,
    ChatRequest,
    Choice,
    ErrorBody,
    ErrorDetail,
    Usage,
)

_QUOTA: Final = "insufficient_quota"


def error(refusal: Refusal) -> Body:
    """An error in OpenAI's shape."""
    detail = ErrorDetail(
        message=refusal.message,
        type=_type(refusal),
        param=refusal.field or None,
        code=refusal.code,
    )
    return ErrorBody(error=detail).model_dump(mode="json")


def _type(refusal: Refusal) -> str:
    if refusal.status == 429:
        return _QUOTA if refusal.code == _QUOTA else "requests"
    return "server_error" if refusal.status >= 500 else "invalid_request_error"


def _read(body: Mapping[str, Any], _: str | None) -> Asked:
    request = ChatRequest.model_validate(body)
    _check(request)
    messages = tuple(_message(message) for message in request.messages)
    return Asked(
        model=request.model,
        messages=messages,
        shape=wanted_shape(request.shape, None, messages),
        schema=_schema(request),
        token_limit=request.token_limit,
        digest=body_digest(body),
    )


def _check(request: ChatRequest) -> None:
    if request.stream:
        raise refused("The rehearsal service does not stream; leave stream out.", "stream")
    if request.tools:
        raise refused("The rehearsal service calls no tools; leave tools out.", "tools")
    if (request.n or 1) > 1:
        raise refused("The rehearsal service gives one choice a request; ask again.", "n")


def _schema(request: ChatRequest) -> dict[str, Any] | None:
    named = request.response_format.json_schema if request.response_format else None
    return named.definition if named else None


def _message(message: ChatMessage) -> Message:
    role = "system" if message.role == "developer" else message.role
    return Message(role, message.text)


def _render(asked: Asked, draft: Draft) -> Body:
    read, written = tokens_read(asked), tokens(draft.text)
    completion = ChatCompletion(
        id=f"chatcmpl-{asked.digest[:24]}",
        created=0,  # the reply depends on the body alone, so it has no clock
        model=MODEL,
        choices=[_choice(draft)],
        usage=Usage(prompt_tokens=read, completion_tokens=written, total_tokens=read + written),
    )
    return completion.model_dump(mode="json")


def _choice(draft: Draft) -> Choice:
    refusal = draft.finish == "refusal"
    said = {"content": None, "refusal": draft.text} if refusal else {"content": draft.text}
    message = ChatMessage.model_validate({"role": "assistant"} | said)
    return Choice(message=message, finish_reason=_FINISH[draft.finish])


_FINISH: Final[dict[Finish, Any]] = {
    "stop": "stop",
    "length": "length",
    "refusal": "stop",
    "blocked": "content_filter",
}
"""A refusal ends like any other reply; it is the message that says what it is."""

CHAT: Final = Dialect(
    name="openai-chat",
    paths=("/v1/chat/completions",),
    prompt="messages",
    read=_read,
    render=_render,
    refuse=error,
)
