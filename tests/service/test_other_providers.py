"""Anthropic and Google through the same ledger and transport, where their SDKs are installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llamaduo.records import Message, Question
from llamaduo.service.client import connect
from llamaduo.service.ledger import Ledger
from llamaduo.service.retry import Backoff
from llamaduo.service.settings import ServiceSettings
from tests.service.loopback import Answer, error, serving

ANTHROPIC = {
    "id": "m", "type": "message", "role": "assistant", "model": "snapshot-1",
    "content": [{"type": "text", "text": "four"}],
    "stop_reason": "max_tokens", "stop_sequence": None,
    "usage": {"input_tokens": 5, "output_tokens": 2},
}  # fmt: skip
GOOGLE = {
    "candidates": [
        {"content": {"parts": [{"text": "four"}], "role": "model"}, "finishReason": "MAX_TOKENS"}
    ],
    "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7},
    "modelVersion": "snapshot-1",
}


@pytest.mark.parametrize(
    ("package", "model", "body"),
    [
        ("anthropic", "anthropic:claude-test", ANTHROPIC),
        ("google.genai", "google:gemini-2.5-flash", GOOGLE),
    ],
)
async def test_it_is_asked_recorded_retried_and_replayed_like_the_others(
    tmp_path: Path, package: str, model: str, body: dict[str, Any]
) -> None:
    pytest.importorskip(package)
    question = Question(
        stage="s", messages=(Message("system", "Be brief."), Message("user", "2 + 2?"))
    )
    script = (error(503, "busy"), Answer(body=json.dumps(body).encode()))
    async with serving(*script) as service:
        url = service.base_url.removesuffix("/v1")
        settings = ServiceSettings(model=model, base_url=url)
        with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
            async with connect(settings, ledger, backoff=Backoff(first=0.001)) as client:
                reply = await client.ask(question)
                again = await client.ask(question)
            (row,) = ledger.spend()

    assert (reply.text, reply.finish, reply.snapshot) == ("four", "length", "snapshot-1")
    assert (reply.input_tokens, reply.output_tokens, again.replayed) == (5, 2, True)
    assert (row.answered, row.failed, len(service.bodies)) == (1, 1, 2)
