"""A service LLM that only remembers: the same replies, the same refusals, nothing sent."""

from __future__ import annotations

import asyncio
import importlib.util
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from llamaduo.errors import ExtraMissing, QuestionRefused, RunError
from llamaduo.records import Message, Question, Reply
from llamaduo.service.calls import CallRecord, open_calls
from llamaduo.service.client import connect
from llamaduo.service.ledger import Ledger, read_spend
from llamaduo.service.replay import NOT_STORED, UNREADABLE_REPLY, replaying
from llamaduo.service.retry import Backoff
from llamaduo.service.settings import Price, ServiceSettings
from tests.service.loopback import SNAPSHOT, Answer, error, says, serving

HTML = Answer(body=b"<html>Bad gateway</html>", headers=(("content-type", "text/html"),))
Outcome = Reply | QuestionRefused


def question(text: str, **fields: Any) -> Question:
    return Question(stage="judge", messages=(Message("user", text),), **fields)


async def ask(service: Any, one: Question) -> Outcome:
    try:
        found: Reply = await service.ask(one)
    except QuestionRefused as refused:
        return refused
    return found


async def asked(path: Path, *steps: Answer, questions: list[Question]) -> list[Outcome]:
    """What a real service on loopback answers, recorded in the ledger at ``path``."""
    async with serving(*steps) as service:
        settings = settings_at(service.base_url)
        with Ledger.open(path) as ledger:
            async with connect(settings, ledger, backoff=Backoff(0.001, 0.001)) as llm:
                return [await ask(llm, one) for one in questions]


def settings_at(url: str) -> ServiceSettings:
    price = Price(input=2.0, output=8.0)
    return ServiceSettings(model="openai-chat:gpt-test", base_url=url, price=price)


async def replayed(
    path: Path, questions: list[Question], seen: list[str] | None = None
) -> list[Outcome]:
    """The same questions with nothing listening anywhere."""

    def observe(stored: CallRecord, snapshot: str, tokens: tuple[int, int]) -> None:
        if seen is not None:
            seen.append(f"{stored.key[:4]} {snapshot} {tokens}")

    with open_calls(path) as calls:
        async with replaying(settings_at("http://127.0.0.1:9/v1"), calls, observe) as llm:
            return [await ask(llm, one) for one in questions]


async def test_the_same_reply_without_a_key_or_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.sqlite"
    questions = [question("a"), question("b", sample=1, max_tokens=32), question("a")]
    live = await asked(path, says("one"), says("two", finish="length"), questions=questions)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    seen: list[str] = []
    again = await replayed(path, questions, seen)
    assert [one.text for one in again if isinstance(one, Reply)] == ["one", "two", "one"]
    for before, after in zip(live, again, strict=True):
        assert isinstance(before, Reply)
        assert isinstance(after, Reply)
        assert (before.key, before.finish, before.snapshot) == (
            after.key,
            after.finish,
            after.snapshot,
        )
        assert before.input_tokens == after.input_tokens
    assert len(seen) == 2
    assert f"{SNAPSHOT} (100, 20)" in seen[0]


async def test_a_refusal_is_the_same_refusal(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    questions = [question("bad"), question("worse"), question("good")]
    filtered = error(400, "the prompt is not allowed", "content_filter")
    live = await asked(path, filtered, *[HTML] * 5, says("fine"), questions=questions)
    again = await replayed(path, questions)
    for before, after in zip(live[:2], again[:2], strict=True):
        assert isinstance(before, QuestionRefused)
        assert isinstance(after, QuestionRefused)
        assert (before.reason, before.call) == (after.reason, after.call)
    assert isinstance(again[2], Reply)


async def test_what_is_not_stored_is_refused_and_never_sent(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    await asked(path, says("one"), questions=[question("a")])
    async with serving() as service:
        with open_calls(path) as calls:
            settings = settings_at(service.base_url)
            async with replaying(settings, calls, lambda *_: None) as llm:
                found = await ask(llm, question("never asked"))
        assert service.bodies == []
    assert isinstance(found, QuestionRefused)
    assert (found.reason, found.call) == (NOT_STORED, None)


async def test_a_stored_reply_that_is_none_any_more(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    await asked(path, says("one"), questions=[question("a")])
    with closing(sqlite3.connect(path)) as ledger, ledger:
        ledger.execute("UPDATE attempts SET reply = ?", (b"<html>",))
    (found,) = await replayed(path, [question("a")])
    assert isinstance(found, QuestionRefused)
    assert found.reason == UNREADABLE_REPLY


def test_without_the_sdk_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ledger.sqlite"
    Ledger.open(path).close()
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    with pytest.raises(ExtraMissing, match="needs a package"):
        asyncio.run(replayed(path, [question("a")]))


async def test_calls_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    questions = [question("näive"), question("b")]
    await asked(path, error(500, "busy"), says("one"), says("two"), questions=questions)
    with open_calls(path) as calls:
        rows = list(calls)
        assert len(calls) == 3
        assert [row.state for row in rows] == ["failed", "answered", "answered"]
        assert [row.attempt for row in calls.attempts(rows[0].key)] == [1, 2]
        assert calls.answer(rows[0].key) == rows[1]
        assert calls.answer("none") is None
        assert rows[1].messages() == [("user", "näive")]
        assert "one" in rows[1].raw
        assert calls.spent_usd() == pytest.approx(2 * (100 * 2 + 20 * 8) / 1e6)
        assert calls.spend() == read_spend(path)


def test_a_file_that_is_no_ledger(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "other.sqlite")) as other, other:
        other.execute("CREATE TABLE things (name TEXT)")
    with (
        pytest.raises(RunError, match="no such table"),
        open_calls(tmp_path / "other.sqlite") as calls,
    ):
        list(calls)
