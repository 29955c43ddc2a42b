"""OpenAI's Responses. They have no seed: equal bodies get equal replies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from llamaduo.records import Message
from llamaduo.rehearsal.asked import Asked, body_digest, refused, wanted_shape
from llamaduo.rehearsal.catalogue import MODEL
from llamaduo.rehearsal.dialect import Body, Dialect
from llamaduo.rehearsal.dialects.chat import error
from llamaduo.rehearsal.replies import Draft, Finish, tokens, tokens_read
from llamaduo.wire.responses import (
    IncompleteDetails,
    InputMessage,
    OutputMessage,
    OutputRefusal,
    OutputText,
    Response,
    ResponsesRequest,
    ResponsesUsage,
)


def _read(body: Mapping[str, Any], _: str | None) -> Asked:
    request = ResponsesRequest.model_validate(body)
    _check(request)
    wanted = request.text.format if request.text else None
    messages = _messages(request)
    return Asked(
        model=request.model,
        messages=messages,
        shape=wanted_shape(wanted.name if wanted else None, None, messages),
        schema=wanted.definition if wanted else None,
        token_limit=request.max_output_tokens,
        digest=body_digest(body),
    )


def _check(request: ResponsesRequest) -> None:
    for field in ("stream", "background", "previous_response_id", "tools"):
        if getattr(request, field):
            raise refused(f"The rehearsal service does not serve {field}; leave it out.", field)


def _messages(request: ResponsesRequest) -> tuple[Message, ...]:
    rules = (Message("system", request.instructions),) if request.instructions else ()
    if isinstance(request.input, str):
        return (*rules, Message("user", request.input))
    return (*rules, *map(_message, request.input))


def _message(message: InputMessage) -> Message:
    role = "system" if message.role == "developer" else message.role
    return Message(role, message.text)


def _render(asked: Asked, draft: Draft) -> Body:
    read, written = tokens_read(asked), tokens(draft.text)
    reason = _INCOMPLETE.get(draft.finish)
    reply = Response(
        id=f"resp_{asked.digest[:24]}",
        created_at=0,  # the reply depends on the body alone, so it has no clock
        status="incomplete" if reason else "completed",
        incomplete_details=IncompleteDetails(reason=reason) if reason else None,
        model=MODEL,
        output=[] if draft.finish == "blocked" else [_output(asked, draft)],
        usage=ResponsesUsage(input_tokens=read, output_tokens=written, total_tokens=read + written),
    )
    return reply.model_dump(mode="json")


def _output(asked: Asked, draft: Draft) -> OutputMessage:
    refusal = draft.finish == "refusal"
    said = OutputRefusal(refusal=draft.text) if refusal else OutputText(text=draft.text)
    status: Any = "incomplete" if draft.finish in _INCOMPLETE else "completed"
    return OutputMessage(id=f"msg_{asked.digest[:24]}", status=status, content=[said])


_INCOMPLETE: Final[dict[Finish, Any]] = {
    "length": "max_output_tokens",
    "blocked": "content_filter",
}

RESPONSES: Final = Dialect(
    name="openai",
    paths=("/v1/responses",),
    prompt="input",
    read=_read,
    render=_render,
    refuse=error,
)
