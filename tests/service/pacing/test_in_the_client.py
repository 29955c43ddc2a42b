"""The client waits for the pacer before anything is written down, and hears what replies say."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llamaduo.errors import ServiceUnavailable
from llamaduo.records import Message, Question
from llamaduo.service.client import connect
from llamaduo.service.ledger import Ledger
from llamaduo.service.pacing.pacers import Pacers
from llamaduo.service.pacing.sizes import Need
from llamaduo.service.protocol import ServiceLLM
from llamaduo.service.retry import Backoff
from llamaduo.service.settings import Price, RateSettings, ServiceSettings
from tests.service.loopback import Service, error, says, serving

AT_ONCE = Backoff(first=0.001, most=0.001)


def question(sample: int = 0) -> Question:
    asked = (Message("user", "What is 2 + 2?"),)
    return Question(stage="judge", messages=asked, sample=sample, max_tokens=50)


@asynccontextmanager
async def connected(
    path: Path, *steps: Any, pacers: Pacers | None = None, clients: int = 1, **fields: Any
) -> AsyncIterator[tuple[list[ServiceLLM], Service]]:
    """Clients that share a ledger, a service and their pacers."""
    pacers = pacers or Pacers(AT_ONCE)
    budget = fields.pop("budget_usd", None)
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(serving(*steps))
        ledger = stack.enter_context(Ledger.open(path / "ledger.sqlite"))
        settings = ServiceSettings(
            model="openai-chat:gpt-test", base_url=service.base_url, **fields
        )
        each = (
            connect(settings, ledger, budget_usd=budget, backoff=AT_ONCE, pacers=pacers)
            for _ in range(clients)
        )
        yield [await stack.enter_async_context(one) for one in each], service


def rows(path: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path / "ledger.sqlite")) as connection:
        return connection.execute("SELECT state, held_usd FROM attempts").fetchall()


async def test_who_waits_for_the_pacer_is_not_in_the_ledger_and_holds_no_budget(
    tmp_path: Path,
) -> None:
    rates, price = RateSettings(requests=1), Price(input=1.0, output=1.0)
    async with connected(tmp_path, rates=rates, price=price, budget_usd=1.0) as ((client,), _):
        await client.ask(question())
        waits = asyncio.create_task(client.ask(question(1)))
        await asyncio.sleep(0.1)
        assert [state for state, _ in rows(tmp_path)] == ["answered"]
        waits.cancel()
        await asyncio.gather(waits, return_exceptions=True)
    assert [state for state, _ in rows(tmp_path)] == ["answered"]


async def test_a_429_holds_up_every_client_and_is_waited_for_once(tmp_path: Path) -> None:
    busy = error(429, "slow down", retry_after="1")
    async with connected(tmp_path, busy, clients=2) as ((one, other), service):
        began = asyncio.get_running_loop().time()
        first = asyncio.create_task(one.ask(question()))
        await service.asked.wait()
        await asyncio.sleep(0.1)
        await asyncio.gather(first, other.ask(question(1)))
        passed = asyncio.get_running_loop().time() - began
    assert len(service.bodies) == 3
    assert 1.0 <= passed < 1.9  # twice the wait, were it waited for twice
    assert sorted(state for state, _ in rows(tmp_path)) == ["answered", "answered", "failed"]


async def test_nobody_waits_for_longer_than_the_deadline(tmp_path: Path) -> None:
    """The call that was refused, and one that has not been sent: neither waits for an hour."""
    busy = error(429, "slow down", retry_after="3600")
    async with connected(tmp_path, busy, deadline_seconds=5) as ((client,), service):
        with pytest.raises(ServiceUnavailable, match="HTTP 429: slow down"):
            await client.ask(question())
        with pytest.raises(ServiceUnavailable, match="wants nothing for another 3600 s"):
            await client.ask(question(1))
    assert len(service.bodies) == 1
    assert [state for state, _ in rows(tmp_path)] == ["failed"]


async def test_what_headers_announce_is_kept_to_by_later_connections(tmp_path: Path) -> None:
    pacers = Pacers(AT_ONCE)
    told = replace(
        says("four"),
        headers=(("content-type", "application/json"), ("x-ratelimit-limit-requests", "77")),
    )
    async with connected(tmp_path, told, pacers=pacers) as ((client,), service):
        await client.ask(question())
        settings = ServiceSettings(model="openai-chat:gpt-test", base_url=service.base_url)
    assert pacers.of(settings, "no-key-on-loopback").limits == {"requests": 77}


async def test_replies_settle_what_was_reserved(tmp_path: Path) -> None:
    """The reply has 20 output tokens of the 50 that it might have had."""
    pacers = Pacers(AT_ONCE)
    rates = RateSettings(output_tokens=3000)
    async with connected(tmp_path, pacers=pacers, rates=rates) as ((client,), service):
        began = asyncio.get_running_loop().time()
        for sample in range(3):
            await client.ask(question(sample))
        settings = ServiceSettings(model="openai-chat:gpt-test", base_url=service.base_url)
        pacer = pacers.of(settings, "no-key-on-loopback")
        async with pacer.turn(Need(10, 50)) as turn:
            assert turn.taken["output_tokens"].amount == 20
        assert asyncio.get_running_loop().time() - began < 3.0  # 49 a second: 150 were too many
