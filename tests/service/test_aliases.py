"""Names that move and models that are gone: looked up, recorded, said once."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llamaduo.errors import ServiceRefused
from llamaduo.records import Event, Message, Question
from llamaduo.service import address
from llamaduo.service.aliases import is_floating
from llamaduo.service.client import connect
from llamaduo.service.ledger import Ledger
from llamaduo.service.protocol import ServiceLLM
from llamaduo.service.retry import Backoff
from llamaduo.service.settings import ServiceSettings
from tests.canary import CANARY
from tests.service.dialects import answer, chat, claude, gemini, responses, says
from tests.service.loopback import Answer, Hang, Service, Step, error, serving

QUESTION = Question(stage="s", messages=(Message("user", "2 + 2?"),))


def openai_lists(name: str, ends: str | None = None) -> Answer:
    return answer(
        {"id": name, "object": "model", "created": 1, "owned_by": "o", "shutdown_date": ends}
    )


def anthropic_lists(name: str, lifecycle: str = "active", ends: str | None = None) -> Answer:
    return answer({
        "id": name, "type": "model", "display_name": name, "lifecycle": lifecycle,
        "created_at": "2025-10-01T00:00:00Z", "retires_at": ends,
    })  # fmt: skip


@asynccontextmanager
async def connected(
    monkeypatch: pytest.MonkeyPatch, path: Path, model: str, *steps: Step
) -> AsyncIterator[tuple[ServiceLLM, Service, list[str]]]:
    """The provider's own address is a loopback service; the last item collects the warnings."""
    warnings: list[str] = []

    def notify(event: Event) -> None:
        if event.unit == "warning":
            warnings.append(event.detail)

    settings = ServiceSettings(model=model)
    name = address.provider_name(settings)
    known = address.PROVIDERS[name]
    monkeypatch.setenv(known.key_env, CANARY)
    async with serving(*steps) as service:
        root = service.base_url.removesuffix("/v1")
        there = replace(known, url=f"{root}/v1" if name.startswith("openai") else root)
        monkeypatch.setitem(address.PROVIDERS, name, there)
        with Ledger.open(path / "ledger.sqlite", notify) as ledger:
            async with connect(settings, ledger, backoff=Backoff(0.001, 0.001)) as client:
                yield client, service, warnings


def table(path: Path, name: str, columns: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path / "ledger.sqlite")) as connection:
        return connection.execute(f"SELECT {columns} FROM {name} ORDER BY rowid").fetchall()  # noqa: S608


@pytest.mark.parametrize(
    ("name", "floating"),
    [
        ("gpt-4o", True),
        ("gpt-4.1", True),
        ("claude-sonnet-4-5", True),
        ("gemini-flash-latest", True),
        ("chatgpt-4o-latest", True),
        ("gpt-4o-2024-08-06", False),
        ("gpt-4-0613", False),
        ("claude-haiku-4-5-20251001", False),
        ("claude-haiku-4-5@20251001", False),
        ("eu.anthropic.claude-haiku-4-5-20251001-v1:0", False),
        ("gemini-2.0-flash-001", False),
    ],
)
def test_a_name_without_a_date_or_version_may_move(name: str, floating: bool) -> None:
    assert is_floating(name) is floating


async def test_anthropics_alias_is_resolved_recorded_and_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model, dated = "anthropic:claude-haiku-4-5", "claude-haiku-4-5-20251001"
    script = (anthropic_lists(dated), answer(claude("four", model=dated)))
    async with connected(monkeypatch, tmp_path, model, *script) as (client, service, warnings):
        await client.ask(QUESTION)

    assert service.paths == ["/v1/models/claude-haiku-4-5", "/v1/messages"]
    (warning,) = warnings
    assert f"stands for {dated} now" in warning
    assert f"anthropic:{dated}" in warning
    assert table(tmp_path, "models", "model, resolved") == [(model, dated)]


async def test_a_look_up_is_no_paid_call_but_is_on_the_record_of_what_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = "openai-chat:gpt-4o-2024-08-06"
    script = (openai_lists("gpt-4o-2024-08-06"), answer(chat("four")))
    async with connected(monkeypatch, tmp_path, model, *script) as (client, service, warnings):
        await client.ask(QUESTION)

    assert warnings == []
    assert len(table(tmp_path, "attempts", "key")) == 1
    host = service.base_url.removeprefix("http://").removesuffix("/v1")
    controls = table(tmp_path, "controls", "purpose, host, bytes_out, pairs")
    assert controls == [("models", host, 0, None)]
    assert CANARY not in "".join(service.paths)
    assert CANARY.encode() not in (tmp_path / "ledger.sqlite").read_bytes()


async def test_openais_floating_name_is_warned_about_and_its_end_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = (openai_lists("gpt-4o", "2099-01-14"), answer(responses(says("four"))))
    async with connected(monkeypatch, tmp_path, "openai:gpt-4o", *script) as (
        client, service, warnings,
    ):  # fmt: skip
        await client.ask(QUESTION)
        assert service.paths == ["/v1/models/gpt-4o", "/v1/responses"]
    assert any(
        "will be retired" in warning and "14 January 2099" in warning for warning in warnings
    )


@pytest.mark.parametrize(
    "gone",
    [
        error(404, "The model does not exist", "model_not_found"),
        anthropic_lists("claude-haiku-3", "retired"),
    ],
)
async def test_a_model_that_is_gone_is_refused_with_what_there_is_instead(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, gone: Answer
) -> None:
    names = [json.loads(anthropic_lists(f"claude-haiku-{n}").body) for n in (4, 5)]
    offer = answer({"data": names, "has_more": False, "first_id": "a", "last_id": "b"})
    with pytest.raises(ServiceRefused, match="has no such model") as caught:
        async with connected(monkeypatch, tmp_path, "anthropic:claude-haiku-3", gone, offer) as (
            client,
            _,
            _w,
        ):
            await client.ask(QUESTION)
    assert "anthropic:claude-haiku-4" in caught.value.hint
    assert table(tmp_path, "attempts", "key") == []


@pytest.mark.parametrize(
    "step", [error(500, "busy"), error(401, "no"), Answer(body=b"<html>"), Answer(body=b"[]")]
)
async def test_a_list_that_cannot_be_read_is_no_obstacle(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, step: Answer
) -> None:
    model = "openai-chat:gpt-4o-2024-08-06"
    async with connected(monkeypatch, tmp_path, model, step, answer(chat("four"))) as (
        client, _, _w,
    ):  # fmt: skip
        assert (await client.ask(QUESTION)).text == "four"


async def test_a_list_that_never_comes_is_not_waited_for_long(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("llamaduo.service.aliases._SECONDS", 0.05)
    model = "openai-chat:gpt-4o-2024-08-06"
    async with connected(monkeypatch, tmp_path, model, Hang, answer(chat("four"))) as (
        client, _, _w,
    ):  # fmt: skip
        assert (await client.ask(QUESTION)).text == "four"


async def test_geminis_version_is_recorded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    body = {"name": "models/gemini-3.5-flash", "version": "3.5-flash-001", "displayName": "x"}
    model = "google:gemini-3.5-flash"
    script = (answer(body), answer(gemini("four")))
    async with connected(monkeypatch, tmp_path, model, *script) as (client, service, warnings):
        await client.ask(QUESTION)
        assert service.paths[0] == "/v1beta/models/gemini-3.5-flash"
        assert service.headers[0]["x-goog-api-key"] == CANARY
    assert warnings == []
    resolved = "gemini-3.5-flash (version 3.5-flash-001)"
    assert table(tmp_path, "models", "resolved, how")[0] == (resolved, "listed")


async def test_an_end_that_no_list_tells_is_said_from_our_own_table(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    body = {"name": "models/gemini-2.5-flash", "version": "001"}
    model = "google:gemini-2.5-flash"
    script = (answer(body), answer(gemini("four")))
    async with connected(monkeypatch, tmp_path, model, *script) as (client, _s, warnings):
        await client.ask(QUESTION)
    assert any("01 December 2026" in warning for warning in warnings)


async def test_it_is_looked_up_once_a_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    reply = answer(responses(says("four")))
    async with serving(openai_lists("gpt-4o"), reply, reply) as service:
        there = replace(address.PROVIDERS["openai"], url=service.base_url)
        monkeypatch.setitem(address.PROVIDERS, "openai", there)
        with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
            for sample in range(2):
                async with connect(ServiceSettings(model="openai:gpt-4o"), ledger) as client:
                    await client.ask(replace(QUESTION, sample=sample))
    assert service.paths == ["/v1/models/gpt-4o", "/v1/responses", "/v1/responses"]


async def test_what_was_answered_is_read_again_though_the_model_is_gone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = "openai-chat:gpt-4o-2024-08-06"
    script = (openai_lists("gpt-4o-2024-08-06"), answer(chat("four")))
    async with connected(monkeypatch, tmp_path, model, *script) as (client, _, _w):
        await client.ask(QUESTION)
    gone = error(404, "The model does not exist", "model_not_found")
    async with connected(monkeypatch, tmp_path, model, gone) as (client, service, _w):
        assert (await client.ask(QUESTION)).replayed
        assert service.paths == []


async def test_one_look_up_refuses_every_question(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gone = error(404, "The model does not exist", "model_not_found")
    offer = answer({"object": "list", "data": []})
    async with connected(monkeypatch, tmp_path, "openai-chat:gpt-2", gone, offer) as (
        client, service, _w,
    ):  # fmt: skip
        asked = (client.ask(replace(QUESTION, sample=n)) for n in range(5))
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [ServiceRefused] * 5
        assert service.paths == ["/v1/models/gpt-2", "/v1/models"]


async def test_a_server_of_ones_own_is_not_asked(tmp_path: Path) -> None:
    async with serving(answer(chat("four"))) as service:
        settings = ServiceSettings(model="openai-chat:qwen", base_url=service.base_url)
        with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
            async with connect(settings, ledger) as client:
                await client.ask(QUESTION)
    assert service.paths == ["/v1/chat/completions"]
