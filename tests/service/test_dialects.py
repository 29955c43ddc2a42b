"""Every provider through its official client: asked, recorded, read and replayed alike."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from llamaduo.errors import QuestionRefused, ServiceRefused
from llamaduo.records import Message, Question
from llamaduo.service.client import connect
from llamaduo.service.ledger import Ledger
from llamaduo.service.protocol import ServiceLLM
from llamaduo.service.retry import Backoff
from llamaduo.tasks.templates import PAIRS_SCHEMA, judgement_schema
from tests.canary import CANARY
from tests.service.dialects import DIALECTS, Dialect, answer, chat, claude, gemini, says
from tests.service.dialects import responses as a_response
from tests.service.loopback import SNAPSHOT, Answer, Service, error, serving

QUESTION = Question(
    stage="judge",
    messages=(Message("system", "Be strict."), Message("user", "Mark this.")),
    sample=3,
    shape="judgement",
    schema=judgement_schema(),
)
PLAIN = Question(stage="judge", messages=(Message("user", "2 + 2?"),))


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Dialect:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.setenv(name, CANARY)
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", CANARY)
    return DIALECTS[request.param]


@asynccontextmanager
async def connected(
    dialect: Dialect, path: Path, *steps: Answer, **fields: Any
) -> AsyncIterator[tuple[ServiceLLM, Service]]:
    async with serving(*steps) as service:
        with Ledger.open(path / "ledger.sqlite") as ledger:
            settings = dialect.settings(service, **fields)
            async with connect(settings, ledger, backoff=Backoff(0.001, 0.001)) as client:
                yield client, service


def rows(path: Path, columns: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path / "ledger.sqlite")) as connection:
        return connection.execute(
            f"SELECT {columns} FROM attempts ORDER BY rowid"  # noqa: S608
        ).fetchall()


async def test_it_is_asked_recorded_retried_by_us_alone_and_replayed(
    tmp_path: Path, dialect: Dialect
) -> None:
    body = dialect.reply('{"a": 1}')
    script = (answer({"error": {"message": "busy"}}, 500), answer(body))
    async with connected(dialect, tmp_path, *script) as (client, service):
        reply = await client.ask(QUESTION)
        again = await client.ask(QUESTION)

    assert (reply.text, reply.finish, reply.snapshot) == ('{"a": 1}', "stop", SNAPSHOT)
    assert (reply.input_tokens, reply.output_tokens, again.replayed) == (100, 20, True)
    assert service.paths == [dialect.path] * 2
    states, stored, cached = zip(*rows(tmp_path, "state, reply, cached_tokens"), strict=True)
    assert (states, cached) == (("failed", "answered"), (None, 40))
    assert json.loads(stored[1]) == body


async def test_schema_seed_and_key_go_where_they_belong(tmp_path: Path, dialect: Dialect) -> None:
    async with connected(dialect, tmp_path, answer(dialect.reply("{}"))) as (client, service):
        await client.ask(QUESTION)

    (body,), (path,), (headers,) = service.bodies, service.paths, service.headers
    assert dialect.seed(body) == (3 if dialect.seeded else None)
    sent = dialect.schema(body)
    assert sent.get("strict", True) is True
    assert is_strict(sent["schema"])
    carried = [name for name, value in headers.items() if CANARY in value]
    assert carried == ([_header(dialect)] if dialect.keyed else [])
    assert CANARY not in path
    assert CANARY not in json.dumps(body)


def _header(dialect: Dialect) -> str:
    return "x-goog-api-key" if dialect.model.startswith("google") else "authorization"


def is_strict(schema: dict[str, Any]) -> bool:
    """As every vendor wants it: closed objects with all their properties required."""
    children = [
        *schema.get("properties", {}).values(),
        *([schema.get("items")] * ("items" in schema)),
    ]
    if schema["type"] == "object":
        closed = schema["additionalProperties"] is False
        if not closed or set(schema["required"]) != set(schema["properties"]):
            return False
    return all(map(is_strict, children))


async def test_anthropic_gets_no_bounds_on_numbers(tmp_path: Path) -> None:
    """Its structured outputs refuse ``minimum`` and ``maximum``; our parser holds the bounds."""
    dialect = DIALECTS["anthropic"]
    async with connected(dialect, tmp_path, answer(claude("{}"))) as (client, service):
        await client.ask(QUESTION)
    text = json.dumps(service.bodies[0]["output_config"])
    assert '"minimum"' not in text
    assert '"maximum"' not in text


async def test_pairs_are_asked_for_by_schema_too(tmp_path: Path, dialect: Dialect) -> None:
    question = Question(
        stage="synthesize", messages=PLAIN.messages, shape="pairs", schema=PAIRS_SCHEMA
    )
    async with connected(dialect, tmp_path, answer(dialect.reply("{}"))) as (client, service):
        await client.ask(question)
    assert is_strict(dialect.schema(service.bodies[0])["schema"])


async def test_a_reply_cut_off_at_the_limit_says_so(tmp_path: Path, dialect: Dialect) -> None:
    async with connected(dialect, tmp_path, answer(dialect.cut)) as (client, _):
        reply = await client.ask(PLAIN)
    assert (reply.text, reply.finish) == ("cut of", "length")


async def test_a_refusal_costs_one_call_and_is_remembered(tmp_path: Path, dialect: Dialect) -> None:
    async with connected(dialect, tmp_path, answer(dialect.declined)) as (client, service):
        reasons = []
        for _ in range(2):
            with pytest.raises(QuestionRefused) as caught:
                await client.ask(QUESTION)
            reasons.append(caught.value.reason)

    assert len(service.bodies) == 1
    assert reasons[0] == reasons[1]
    assert reasons[0].startswith("declined by the provider (")
    assert rows(tmp_path, "state, input_tokens") == [("answered", 100)]


@pytest.mark.parametrize(
    ("name", "body", "why"),
    [
        ("chat", chat(None, "content_filter"), "content_filter"),
        ("responses", a_response({"type": "refusal", "refusal": "No."}), "No."),
        ("anthropic", claude(None, "refusal"), "refusal"),
        ("gemini", gemini("", "SAFETY"), "SAFETY"),
        ("gemini", gemini(None, promptFeedback={"blockReason": "SAFETY"}), "SAFETY"),
    ],
)
async def test_the_reason_of_a_refusal_is_the_providers(
    tmp_path: Path, name: str, body: dict[str, Any], why: str
) -> None:
    async with connected(DIALECTS[name], tmp_path, answer(body)) as (client, _):
        with pytest.raises(QuestionRefused) as caught:
            await client.ask(QUESTION)
    assert why in caught.value.reason


async def test_refusing_words_are_the_answer_where_text_was_asked_for(tmp_path: Path) -> None:
    """The application would have shown them, so they are what is learned and judged."""
    dialect = DIALECTS["chat"]
    async with connected(dialect, tmp_path, answer(dialect.declined)) as (client, _):
        assert (await client.ask(PLAIN)).text == "I will not mark this."


async def test_structure_by_prompt_sends_no_schema(tmp_path: Path, dialect: Dialect) -> None:
    script = answer(dialect.reply("{}"))
    async with connected(dialect, tmp_path, script, structured="prompt") as (client, service):
        await client.ask(QUESTION)
    assert "schema" not in json.dumps(service.bodies[0]).lower()


async def test_a_server_that_takes_no_schema_ends_the_run_with_the_next_step(
    tmp_path: Path,
) -> None:
    script = error(400, "response_format of type json_schema is not supported")
    async with connected(DIALECTS["chat"], tmp_path, script) as (client, _):
        with pytest.raises(ServiceRefused, match="not supported") as caught:
            await client.ask(QUESTION)
    assert not isinstance(caught.value, QuestionRefused)
    assert "service.structured" in caught.value.hint


async def test_options_go_with_every_call(tmp_path: Path, dialect: Dialect) -> None:
    script = answer(dialect.reply("{}"))
    async with connected(dialect, tmp_path, script, options={"top_p": 0.25}) as (client, service):
        await client.ask(PLAIN)
    assert "0.25" in json.dumps(service.bodies[0])


@pytest.mark.parametrize("model", ["openai:gpt-5", "openai-chat:o3", "anthropic:claude-opus-5-5"])
async def test_models_that_take_no_temperature_get_none(tmp_path: Path, model: str) -> None:
    name = {"openai": "responses", "openai-chat": "chat", "anthropic": "anthropic"}
    dialect = DIALECTS[name[model.partition(":")[0]]]
    question = Question(stage="judge", messages=PLAIN.messages, temperature=0.5)
    script = answer(dialect.reply("four"))
    async with connected(dialect, tmp_path, script, model=model) as (client, service):
        assert (await client.ask(question)).text == "four"
    assert "temperature" not in service.bodies[0]


async def test_thinking_is_paid_as_output_and_no_part_of_the_text(tmp_path: Path) -> None:
    body = gemini("four")
    body["candidates"][0]["content"]["parts"].insert(0, {"text": "Hm.", "thought": True})
    async with connected(DIALECTS["gemini"], tmp_path, answer(body)) as (client, _):
        reply = await client.ask(PLAIN)
    assert (reply.text, reply.output_tokens) == ("four", 20)


async def test_a_reply_may_come_in_several_parts(tmp_path: Path) -> None:
    body = a_response(says("fo"))
    body["output"][0]["content"].append(says("ur"))
    async with connected(DIALECTS["responses"], tmp_path, answer(body)) as (client, _):
        assert (await client.ask(PLAIN)).text == "four"
