"""Anthropic's Messages: its own address, Vertex's and Bedrock's. They have no seed: equal bodies
get equal replies. Nobody checks who asks, so Bedrock's signatures are not looked at."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from llamaduo.records import Message
from llamaduo.rehearsal.asked import Asked, Refusal, body_digest, refused, wanted_shape
from llamaduo.rehearsal.catalogue import MODEL
from llamaduo.rehearsal.dialect import Body, Dialect
from llamaduo.rehearsal.dialects import google_errors
from llamaduo.rehearsal.replies import Draft, Finish, tokens, tokens_read
from llamaduo.wire.anthropic import (
    AnthropicError,
    AnthropicErrorDetail,
    AnthropicReply,
    AnthropicUsage,
    CloudMessagesRequest,
    MessagesRequest,
    StopDetails,
    TextBlock,
    joined,
)

REQUEST_ID: Final = "req_rehearsed"
_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_OF_THE_CLOUD: Final = frozenset({401, 403, 404, 429})
"""Statuses with which Vertex answers itself, in Google's shape."""
_STOP: Final[dict[Finish, Any]] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "refusal": "refusal",
    "blocked": "refusal",
}


def error(refusal: Refusal) -> Body:
    """An error in Anthropic's shape."""
    fallback = "invalid_request_error" if refusal.status < 500 else "api_error"
    kind = _TYPES.get(refusal.status, fallback)
    detail = AnthropicErrorDetail(type=kind, message=refusal.message)
    return AnthropicError(error=detail, request_id=REQUEST_ID).model_dump(mode="json")


def _vertex_error(refusal: Refusal) -> Body:
    return google_errors.error(refusal) if refusal.status in _OF_THE_CLOUD else error(refusal)


def _bedrock_error(refusal: Refusal) -> Body:
    return {"message": refusal.message}


def _read(body: Mapping[str, Any], model: str | None, *, shape: type[MessagesRequest]) -> Asked:
    """``model`` is None where it is in the body."""
    whole = dict(body) if model is None else {**body, "model": model}
    request = shape.model_validate(whole)
    _check(request)
    messages = _messages(request)
    return Asked(
        model=request.model,
        messages=messages,
        shape=wanted_shape(None, request.schema_asked, messages),
        schema=request.schema_asked,
        token_limit=request.max_tokens,
        digest=body_digest(whole),
    )


def _check(request: MessagesRequest) -> None:
    for field in ("stream", "tools"):
        if getattr(request, field):
            raise refused(f"The rehearsal service does not serve {field}; leave it out.", field)


def _messages(request: MessagesRequest) -> tuple[Message, ...]:
    rules = (Message("system", joined(request.system)),) if request.system else ()
    return (*rules, *(Message(m.role, joined(m.content)) for m in request.messages))


def _render(asked: Asked, draft: Draft) -> Body:
    refusal = draft.finish == "refusal"
    reply = AnthropicReply(
        id=f"msg_{asked.digest[:24]}",
        model=MODEL,
        content=[] if draft.finish in {"refusal", "blocked"} else [TextBlock(text=draft.text)],
        stop_reason=_STOP[draft.finish],
        stop_details=StopDetails(explanation=draft.text) if refusal else None,
        usage=AnthropicUsage(input_tokens=tokens_read(asked), output_tokens=tokens(draft.text)),
    )
    return reply.model_dump(mode="json")


ANTHROPIC: Final = Dialect(
    name="anthropic",
    paths=("/v1/messages",),
    prompt="messages",
    read=partial(_read, shape=MessagesRequest),
    render=_render,
    refuse=error,
)
VERTEX: Final = Dialect(
    name="anthropic-vertex",
    paths=(
        "/v1/projects/{project}/locations/{location}/publishers/anthropic/models/{model}:rawPredict",
    ),
    prompt="messages",
    read=partial(_read, shape=CloudMessagesRequest),
    render=_render,
    refuse=_vertex_error,
)
BEDROCK: Final = Dialect(
    name="anthropic-bedrock",
    paths=("/model/{model:path}/invoke",),
    prompt="messages",
    read=partial(_read, shape=CloudMessagesRequest),
    render=_render,
    refuse=_bedrock_error,
)
