"""The APIs of every provider as a loopback service speaks them: settings, paths, replies."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from llamaduo.service.settings import ServiceSettings
from tests.service.loopback import SNAPSHOT, Answer, Service

Body = dict[str, Any]


def answer(body: Body, status: int = 200) -> Answer:
    return Answer(status, json.dumps(body).encode())


@dataclass(frozen=True)
class Dialect:
    """``reply`` makes a body that says a text, 100 input tokens (of which 40 were cached) and
    20 output tokens; ``cut`` ends it at the token limit, ``declined`` is a refusal without text.
    ``schema`` finds the JSON schema in a request."""

    model: str
    path: str
    reply: Callable[[str], Body]
    cut: Body
    declined: Body
    schema: Callable[[Body], Body]
    seed: Callable[[Body], Any] = lambda body: body.get("seed")
    seeded: bool = False
    prefix: str = ""
    keyed: bool = True
    fields: dict[str, str] = field(default_factory=dict)

    def settings(self, service: Service, **more: Any) -> ServiceSettings:
        root = service.base_url.removesuffix("/v1")
        fields: dict[str, Any] = {"model": self.model, "base_url": root + self.prefix}
        return ServiceSettings(**(fields | self.fields | more))


def chat(text: str | None, finish: str = "stop", **message: Any) -> Body:
    return {
        "id": "c", "object": "chat.completion", "created": 1, "model": SNAPSHOT,
        "choices": [{
            "index": 0, "finish_reason": finish,
            "message": {"role": "assistant", "content": text, **message},
        }],
        "usage": {
            "prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120,
            "prompt_tokens_details": {"cached_tokens": 40},
        },
    }  # fmt: skip


def responses(part: Body, **more: Any) -> Body:
    return {
        "id": "resp_1", "object": "response", "created_at": 1, "model": SNAPSHOT,
        "status": "completed", "parallel_tool_calls": False, "tool_choice": "auto", "tools": [],
        "output": [{
            "id": "m", "type": "message", "role": "assistant", "status": "completed",
            "content": [part],
        }],
        "usage": {
            "input_tokens": 100, "input_tokens_details": {"cached_tokens": 40},
            "output_tokens": 20, "output_tokens_details": {"reasoning_tokens": 5},
            "total_tokens": 120,
        },
    } | more  # fmt: skip


def says(text: str) -> Body:
    return {"type": "output_text", "text": text, "annotations": []}


def claude(text: str | None, stop: str = "end_turn", **more: Any) -> Body:
    return {
        "id": "m", "type": "message", "role": "assistant", "model": SNAPSHOT,
        "content": [] if text is None else [{"type": "text", "text": text}],
        "stop_reason": stop, "stop_sequence": None,
        "usage": {
            "input_tokens": 50, "cache_read_input_tokens": 40, "cache_creation_input_tokens": 10,
            "output_tokens": 20,
        },
    } | more  # fmt: skip


def gemini(text: str | None, finish: str = "STOP", **more: Any) -> Body:
    said = {"content": {"parts": [{"text": text}], "role": "model"}, "finishReason": finish}
    return {
        "candidates": [] if text is None else [said],
        "usageMetadata": {
            "promptTokenCount": 100, "cachedContentTokenCount": 40, "candidatesTokenCount": 15,
            "thoughtsTokenCount": 5, "totalTokenCount": 120,
        },
        "modelVersion": SNAPSHOT,
    } | more  # fmt: skip


_CHAT = Dialect(
    "openai-chat:gpt-test",
    "/v1/chat/completions",
    chat,
    chat("cut of", "length"),
    chat(None, refusal="I will not mark this."),
    lambda body: dict(body["response_format"]["json_schema"]),
    seeded=True,
    prefix="/v1",
)
_RESPONSES = Dialect(
    "openai:gpt-test",
    "/v1/responses",
    lambda text: responses(says(text)),
    responses(
        says("cut of"), status="incomplete", incomplete_details={"reason": "max_output_tokens"}
    ),
    responses({"type": "refusal", "refusal": "I will not mark this."}),
    lambda body: dict(body["text"]["format"]),
    prefix="/v1",
)


def _claude(model: str, path: str, **fields: Any) -> Dialect:
    return Dialect(
        model,
        path,
        claude,
        claude("cut of", "max_tokens"),
        claude(None, "refusal", stop_details={
            "type": "refusal", "category": "cyber", "explanation": "Not this.",
        }),
        lambda body: dict(body["output_config"]["format"]),
        **fields,
    )  # fmt: skip


def _gemini(model: str, path: str, **fields: Any) -> Dialect:
    return Dialect(
        model,
        path,
        gemini,
        gemini("cut of", "MAX_TOKENS"),
        gemini(None, promptFeedback={"blockReason": "PROHIBITED_CONTENT"}),
        lambda body: {"schema": body["generationConfig"]["responseJsonSchema"]},
        seed=lambda body: body["generationConfig"].get("seed"),
        seeded=True,
        **fields,
    )


_PLACE = "projects/p1/locations/europe-west4/publishers"
_ON_GOOGLE = {"project": "p1", "location": "europe-west4"}
DIALECTS = {
    "chat": _CHAT,
    "responses": _RESPONSES,
    "anthropic": _claude("anthropic:claude-haiku-4-5", "/v1/messages"),
    "vertex": _claude(
        "anthropic-vertex:claude-haiku-4-5@20251001",
        f"/v1/{_PLACE}/anthropic/models/claude-haiku-4-5@20251001:rawPredict",
        prefix="/v1",
        keyed=False,
        fields=_ON_GOOGLE,
    ),
    "bedrock": _claude(
        "anthropic-bedrock:eu.anthropic.claude-haiku-4-5-20251001-v1:0",
        "/model/eu.anthropic.claude-haiku-4-5-20251001-v1:0/invoke",
        fields={"location": "eu-central-1"},
    ),
    "gemini": _gemini("google:gemini-3.5-flash", "/v1beta/models/gemini-3.5-flash:generateContent"),
    "gemini on vertex": _gemini(
        "google-cloud:gemini-3.5-flash",
        f"/v1beta1/{_PLACE}/google/models/gemini-3.5-flash:generateContent",
        keyed=False,
        fields=_ON_GOOGLE,
    ),
    "gemini in express mode": _gemini(
        "google-cloud:gemini-3.5-flash",
        "/v1beta1/publishers/google/models/gemini-3.5-flash:generateContent",
    ),
}
