"""Every provider through the product's own client, against the rehearsal service."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from llamaduo.errors import QuestionRefused
from llamaduo.records import Message, Question
from llamaduo.rehearsal.catalogue import MODEL
from llamaduo.rehearsal.process import running_rehearsal
from llamaduo.rehearsal.replies import BLOCK_MARK
from llamaduo.service.client import connect
from llamaduo.service.ledger import Ledger
from llamaduo.service.settings import ServiceSettings
from llamaduo.tasks.templates import (
    JUDGEMENT_SHAPE,
    judge_messages,
    judgement_schema,
    repair_messages,
)
from tests.rehearsal.requests import TASK, ticket_pairs

PAIR = ticket_pairs(1)[0]
# A repair is always answered in the right form.
JUDGING = repair_messages(judge_messages(TASK, PAIR, "bug, low"), "?", "not JSON")
PLACE = {"project": "a-project", "location": "europe-west4"}
PROVIDERS: dict[str, tuple[str, dict[str, Any]]] = {
    "openai-chat:gpt-4o": ("/v1", {}),
    "openai:gpt-5": ("/v1", {}),
    "anthropic:claude-haiku-4-5": ("", {}),
    "anthropic-vertex:claude-haiku-4-5@20251001": ("/v1", PLACE),
    "anthropic-bedrock:eu.anthropic.claude-haiku-4-5-20251001-v1:0": (
        "",
        {"location": "eu-west-1"},
    ),
    "google:gemini-2.5-flash": ("", {}),
    "google-cloud:gemini-2.5-flash": ("", PLACE),
    "google-cloud:gemini-2.5-pro": ("", {}),  # express mode
}
"""Model → the path of its base URL, and the settings that it needs."""

pytestmark = pytest.mark.skipif(
    not all(find_spec(sdk) for sdk in ("openai", "anthropic", "boto3", "google")),
    reason="needs the SDKs of all providers",
)


@pytest.fixture(scope="module")
def root() -> Iterator[str]:
    with running_rehearsal() as base_url:
        yield base_url.removesuffix("/v1")


@pytest.mark.parametrize("model", PROVIDERS)
async def test_it_is_asked_answered_and_replayed(model: str, root: str, tmp_path: Path) -> None:
    path, more = PROVIDERS[model]
    settings = ServiceSettings(model=model, base_url=f"{root}{path}", **more)
    judging = Question(
        stage="judge", messages=JUDGING, schema=judgement_schema(), shape=JUDGEMENT_SHAPE
    )
    short = Question(
        stage="answer", messages=(Message("user", " ".join(["word"] * 300)),), max_tokens=16
    )
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        async with connect(settings, ledger) as service:
            reply, cut = await service.ask(judging), await service.ask(short)
            again = await service.ask(judging)
    assert '"similarity"' in reply.text
    assert (reply.finish, reply.snapshot) == ("stop", MODEL)
    assert reply.input_tokens == sum(4 + -(-len(m.content) // 4) for m in JUDGING)
    assert reply.output_tokens == -(-len(reply.text) // 4)
    assert (cut.finish, cut.output_tokens, len(cut.text)) == ("length", 16, 64)
    assert again.replayed
    assert again.text == reply.text


@pytest.mark.parametrize("model", PROVIDERS)
async def test_what_the_provider_blocks_is_known_as_such(
    model: str, root: str, tmp_path: Path
) -> None:
    path, more = PROVIDERS[model]
    settings = ServiceSettings(model=model, base_url=f"{root}{path}", **more)
    question = Question(stage="answer", messages=(Message("user", f"{BLOCK_MARK}."),))
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        async with connect(settings, ledger) as service:
            with pytest.raises(QuestionRefused):
                await service.ask(question)
