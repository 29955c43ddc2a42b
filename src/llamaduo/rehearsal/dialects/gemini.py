"""Gemini's generateContent: Google AI Studio's address and Vertex's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from llamaduo.records import Message
from llamaduo.rehearsal.asked import Asked, body_digest, refused, wanted_shape
from llamaduo.rehearsal.catalogue import MODEL
from llamaduo.rehearsal.dialect import Body, Dialect
from llamaduo.rehearsal.dialects import google_errors
from llamaduo.rehearsal.replies import Draft, Finish, tokens, tokens_read
from llamaduo.wire.gemini import (
    Candidate,
    Content,
    GeminiReply,
    GeminiRequest,
    Part,
    PromptFeedback,
    UsageMetadata,
)

_FINISH: Final[dict[Finish, Any]] = {"stop": "STOP", "length": "MAX_TOKENS", "refusal": "SAFETY"}
"""What is blocked has no candidate that could end."""


def _read(body: Mapping[str, Any], model: str | None) -> Asked:
    request = GeminiRequest.model_validate(body)
    _check(request)
    config, messages = request.generation_config, _messages(request)
    return Asked(
        model=model or "",
        messages=messages,
        shape=wanted_shape(None, config.schema_asked, messages),
        schema=config.schema_asked,
        token_limit=config.max_output_tokens,
        digest=body_digest({**body, "model": model}),
    )


def _check(request: GeminiRequest) -> None:
    if request.tools:
        raise refused("The rehearsal service calls no tools; leave tools out.", "tools")
    if (request.generation_config.candidate_count or 1) > 1:
        field = "generationConfig.candidateCount"
        raise refused("The rehearsal service gives one candidate a request; ask again.", field)


def _messages(request: GeminiRequest) -> tuple[Message, ...]:
    system = request.system_instruction
    rules = (Message("system", system.text),) if system else ()
    return (*rules, *map(_message, request.contents))


def _message(content: Content) -> Message:
    return Message("assistant" if content.role == "model" else "user", content.text)


def _render(asked: Asked, draft: Draft) -> Body:
    read, blocked = tokens_read(asked), draft.finish == "blocked"
    written = 0 if draft.finish == "refusal" else tokens(draft.text)
    usage = UsageMetadata(
        prompt_token_count=read,
        candidates_token_count=written or None,  # left out when nothing was written
        total_token_count=read + written,
    )
    reply = GeminiReply(
        candidates=None if blocked else [_candidate(draft)],
        prompt_feedback=PromptFeedback(block_reason="SAFETY") if blocked else None,
        usage_metadata=usage,
        model_version=MODEL,
        response_id=asked.digest[:24],
    )
    return reply.model_dump(mode="json", by_alias=True, exclude_none=True)


def _candidate(draft: Draft) -> Candidate:
    refusal = draft.finish == "refusal"
    said = None if refusal else Content(role="model", parts=[Part(text=draft.text)])
    return Candidate(content=said, finish_reason=_FINISH[draft.finish])


GEMINI: Final = Dialect(
    name="google",
    paths=(
        "/v1beta/models/{model}:generateContent",
        "/v1/models/{model}:generateContent",
    ),
    prompt="contents",
    read=_read,
    render=_render,
    refuse=google_errors.error,
)
_ON_VERTEX: Final = "publishers/google/models/{model}:generateContent"
_OF_A_PROJECT: Final = f"projects/{{project}}/locations/{{location}}/{_ON_VERTEX}"
GEMINI_VERTEX: Final = Dialect(
    name="google-cloud",
    paths=tuple(
        f"/{version}/{path}"
        for version in ("v1beta1", "v1")
        for path in (_OF_A_PROJECT, _ON_VERTEX)  # without a project in express mode
    ),
    prompt="contents",
    read=_read,
    render=_render,
    refuse=google_errors.error,
)
