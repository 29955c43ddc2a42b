"""Whoever waits for a service that is down is told so."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from llamaduo.records import Event, Message, Question
from llamaduo.service.client import connect
from llamaduo.service.ledger import Ledger
from llamaduo.service.retry import Backoff
from llamaduo.service.settings import ServiceSettings
from tests.service.loopback import error, says, serving

DOWN = error(503, "down for maintenance")


async def warnings(path: Path, *steps: Any, questions: int = 1) -> list[str]:
    """What is said while the service answers as scripted."""
    events: list[Event] = []
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(serving(*steps))
        ledger = stack.enter_context(Ledger.open(path / "ledger.sqlite", events.append))
        settings = ServiceSettings(
            model="openai-chat:gpt-test-2026-01-01", base_url=service.base_url
        )
        at_once = Backoff(first=0.001, most=0.001)
        client = await stack.enter_async_context(connect(settings, ledger, backoff=at_once))
        for sample in range(questions):
            messages = (Message("user", "What is 2 + 2?"),)
            await client.ask(Question(stage="judge", messages=messages, sample=sample))
    return [event.detail for event in events if event.unit == "warning"]


async def test_a_service_that_stays_down_is_named_once(tmp_path: Path) -> None:
    outages = [*[DOWN] * 6, says("4"), *[DOWN] * 6, says("4")]
    (said,) = await warnings(tmp_path, *outages, questions=2)
    assert "openai-chat:gpt-test-2026-01-01 at 127.0.0.1" in said
    assert "HTTP 503: down for maintenance" in said
    assert "service.deadline_seconds" in said


async def test_a_few_failures_are_nothing_to_tell_of(tmp_path: Path) -> None:
    assert await warnings(tmp_path, *[DOWN] * 3, says("4")) == []
