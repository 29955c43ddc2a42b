"""Batches through the official SDKs of all three providers, over loopback."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from llamaduo.errors import BudgetExceeded, QuestionRefused, ServiceRefused, ServiceUnavailable
from llamaduo.records import Message, Question
from llamaduo.service import address
from llamaduo.service.calls import open_calls
from llamaduo.service.lanes import Lane, work_through
from llamaduo.service.replay import replaying
from llamaduo.service.settings import BatchSettings, ServiceSettings
from tests.service.batch.rehearsed import (
    PROVIDERS,
    ask,
    living,
    question,
    rehearsing,
    rows,
    spent,
    until,
)
from tests.service.loopback import error, serving


@pytest.mark.parametrize("model", PROVIDERS)
async def test_a_batch_brings_what_calls_would_have_brought(tmp_path: Path, model: str) -> None:
    called, batched = tmp_path / "called", tmp_path / "batched"
    called.mkdir()
    batched.mkdir()
    with rehearsing(tmp_path, seconds=0.1) as service:
        async with living(called, service.settings(model, mode="calls")) as life:
            alone = await ask(life, 6)
            full_price = spent(life).usd
        async with living(batched, service.settings(model)) as life:
            together = await ask(life, 6)
            assert service.batches() == [6]
            assert spent(life).usd == pytest.approx(full_price / 2)
            assert life.client.concurrency == 20_000
            again = await ask(life, 6)
            progress = [e for e in life.events if e.stage.startswith("batch ")]

    assert [reply.text for reply in together] == [reply.text for reply in alone]
    assert [reply.key for reply in together] == [reply.key for reply in alone]
    assert all(
        one.usd == pytest.approx(two.usd / 2) for one, two in zip(together, alone, strict=True)
    )
    assert all(
        reply.replayed and reply.text == first.text
        for reply, first in zip(again, together, strict=True)
    )
    assert service.bought().total() == 12  # each once as a call, once in the batch
    assert (progress[-1].done, progress[-1].total) == (6, 6)
    assert "submitted less than a minute ago" in progress[-1].detail
    assert rows(batched, "SELECT state, handle IS NULL FROM batches") == [("ended", 0)]
    assert rows(batched, "SELECT COUNT(*) FROM attempts WHERE batch IS NOT NULL") == [(6,)]
    purposes = rows(batched, "SELECT purpose, MAX(bytes_out) > 6 * 50 FROM controls GROUP BY 1")
    assert ("batch", 1) in purposes


@pytest.mark.parametrize("model", PROVIDERS)
async def test_a_batch_s_replies_are_read_again_offline(tmp_path: Path, model: str) -> None:
    with rehearsing(tmp_path) as service:
        settings = service.settings(model)
        async with living(tmp_path, settings) as life:
            replies = await ask(life, 4)
    with open_calls(tmp_path / "ledger.sqlite") as calls:
        async with replaying(settings, calls, lambda *_: None) as memory:
            again = [await memory.ask(question(n)) for n in range(4)]
    assert again == [replace(reply, replayed=True) for reply in replies]


@pytest.mark.parametrize("model", PROVIDERS)
async def test_what_expires_is_asked_again_and_an_error_too(tmp_path: Path, model: str) -> None:
    with rehearsing(tmp_path, expired=0.3, errored=0.2) as service:
        async with living(tmp_path, service.settings(model, batch={"smallest": 1})) as life:
            replies = await ask(life, 24)
            row = spent(life)

    assert len({reply.key for reply in replies}) == 24
    assert set(service.bought().values()) == {1}
    assert (row.answered, row.in_doubt) == (24, 0)
    assert row.failed > 0
    assert row.charged == 0  # neither is paid for
    assert len(service.batches()) > 1
    errors = {why for (why,) in rows(tmp_path, "SELECT DISTINCT error FROM attempts")}
    assert "HTTP 500" in errors
    assert any("expired in its batch" in str(why) for why in errors)


async def test_a_request_that_is_refused_costs_only_itself(tmp_path: Path) -> None:
    no_data = Question(
        stage="judge", messages=(Message("user", "Judge this."),), shape="judgement", schema={}
    )
    with rehearsing(tmp_path) as service:
        async with living(tmp_path, service.settings("openai:m")) as life:
            asked = [life.client.ask(question(n)) for n in range(3)]
            *good, bad = await asyncio.gather(
                *asked, life.client.ask(no_data), return_exceptions=True
            )
    assert isinstance(bad, QuestionRefused)
    assert not any(isinstance(reply, BaseException) for reply in good)
    assert service.batches() == [4]


async def test_a_few_questions_are_ordinary_calls(tmp_path: Path) -> None:
    with rehearsing(tmp_path) as service:
        async with living(tmp_path, service.settings("openai:m")) as life:
            replies = await ask(life, 2)
    assert len(replies) == 2
    assert service.batches() == []
    assert rows(tmp_path, "SELECT COUNT(*) FROM batches") == [(0,)]


async def test_more_than_the_largest_batch_goes_in_several(tmp_path: Path) -> None:
    with rehearsing(tmp_path) as service:
        settings = service.settings("anthropic:m", batch={"largest": 5})
        async with living(tmp_path, settings) as life:
            assert life.client.concurrency == 10
            replies = await ask(life, 13)
    assert len({reply.text for reply in replies}) > 1
    assert sorted(service.batches()) == [3, 5, 5]
    assert set(service.bought().values()) == {1}


async def test_what_does_not_fit_the_budget_waits_for_the_batch_before(tmp_path: Path) -> None:
    budget = 0.05
    with rehearsing(tmp_path) as service:
        settings = service.settings("openai:m", max_output_tokens=1000, batch={"smallest": 1})
        async with living(tmp_path, settings, budget_usd=budget) as life:
            replies = await ask(life, 40)  # about $0.0022 held for each: 23 fit at once
            assert spent(life).usd <= budget
        async with living(tmp_path, settings, budget_usd=0.001) as life:
            with pytest.raises(BudgetExceeded):
                await ask(life, 5, first=100)
    assert len(replies) == 40
    assert len(service.batches()) > 1
    assert max(service.batches()) < 25
    assert set(service.bought().values()) == {1}


async def test_a_crowded_provider_gets_smaller_batches(tmp_path: Path) -> None:
    with rehearsing(tmp_path, crowded=4) as service:
        async with living(tmp_path, service.settings("openai:m")) as life:
            replies = await ask(life, 12)
            warnings = life.told("warning")
    assert len(replies) == 12
    assert service.batches()[0] == 12
    assert service.batches()[-1] <= 4
    assert set(service.bought().values()) == {1}
    assert any("Smaller batches follow" in warning for warning in warnings)


async def test_a_server_without_batches_is_asked_with_calls_and_says_so_once(
    tmp_path: Path,
) -> None:
    with rehearsing(tmp_path, absent=1) as service:
        async with living(tmp_path, service.settings("openai:m")) as life:
            replies = [*await ask(life, 4), *await ask(life, 4, first=4)]
            (warning,) = life.told("warning")
            full_price = sum(r.input_tokens + 2 * r.output_tokens for r in replies) / 1e6
            assert spent(life).usd == pytest.approx(full_price)
            assert (spent(life).answered, spent(life).failed) == (8, 0)
    assert "has no batch API" in warning
    assert rows(tmp_path, "SELECT COUNT(batch) FROM attempts") == [(0,)]


@pytest.mark.parametrize("model", PROVIDERS)
async def test_a_stumbling_provider_loses_no_batch(tmp_path: Path, model: str) -> None:
    with rehearsing(tmp_path, stumbles=3) as service:
        async with living(tmp_path, service.settings(model)) as life:
            await ask(life, 4)
    assert service.batches() == [4]
    assert set(service.bought().values()) == {1}


@pytest.mark.parametrize("hold", ["before", "after"])
async def test_a_creation_without_an_answer_is_looked_for_before_another(
    tmp_path: Path, hold: str
) -> None:
    with rehearsing(tmp_path, hold=hold) as service:
        settings = service.settings("google:m", timeout_seconds=0.5)
        async with living(tmp_path, settings) as life:
            await ask(life, 4)
            assert (spent(life).answered, spent(life).failed) == (4, 0)
    assert service.batches() == [4]
    assert set(service.bought().values()) == {1}


async def test_an_unreachable_provider_stops_the_run_which_can_be_resumed(tmp_path: Path) -> None:
    with rehearsing(tmp_path) as service:
        settings = service.settings("anthropic:m", deadline_seconds=0.2, timeout_seconds=0.2)
        unreachable = settings.model_copy(update={"base_url": "http://127.0.0.1:9"})
        async with living(tmp_path, unreachable) as life:
            with pytest.raises(ServiceUnavailable, match=r"127\.0\.0\.1:9"):
                await ask(life, 4)
        async with living(tmp_path, settings.model_copy(update={"deadline_seconds": 60.0})) as life:
            await ask(life, 4)
    assert service.batches() == [4]


async def test_a_run_that_must_end_leaves_its_batches_to_the_next_life(tmp_path: Path) -> None:
    with rehearsing(tmp_path, seconds=1.0) as service:
        slow = service.settings("anthropic:m", batch={"poll_seconds": 3600.0})
        async with living(tmp_path, slow) as life:

            async def work(n: int | None) -> None:
                if n is not None:
                    await life.client.ask(question(n))
                    return
                await until(lambda: life.told("requests"))
                raise ServiceRefused("no credit")

            batched: Lane[int | None] = Lane(range(4), 4, life.client.leave)
            async with asyncio.timeout(30):
                with pytest.raises(ServiceRefused, match="no credit"):
                    await work_through([batched, Lane([None], 1)], work)
            with pytest.raises(ServiceUnavailable, match="asked no further"):
                await life.client.ask(question(5))
            assert spent(life).waiting == 4
        async with living(tmp_path, service.settings("anthropic:m")) as life:
            await ask(life, 4)
    assert service.batches() == [4]
    assert set(service.bought().values()) == {1}


async def test_too_few_for_a_batch_are_not_sent_while_the_service_refuses_all_calls(
    tmp_path: Path,
) -> None:
    refusal = error(429, "slow down", retry_after="3600")
    async with serving(refusal) as service:
        settings = ServiceSettings(
            model="openai:m", base_url=service.base_url, mode="batch", concurrency=1,
            batch=BatchSettings(gather_seconds=0.01),
        )  # fmt: skip
        async with living(tmp_path, settings) as life:
            asked = (life.client.ask(question(n)) for n in range(3))
            outcomes = await asyncio.gather(*asked, return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [ServiceUnavailable] * 3
            assert (spent(life).failed, spent(life).charged, spent(life).in_doubt) == (3, 0, 0)
        assert len(service.bodies) == 1


async def test_a_provider_without_batches_is_asked_with_calls_and_says_so_once(
    tmp_path: Path,
) -> None:
    with rehearsing(tmp_path) as service:
        settings = service.settings("openai-chat:m")
        async with living(tmp_path, settings) as life:
            assert life.client.concurrency == address.in_flight(settings)
            replies = await ask(life, 4)
            full_price = sum(r.input_tokens + 2 * r.output_tokens for r in replies) / 1e6
            assert spent(life).usd == pytest.approx(full_price)
            warnings = life.told("warning")
    assert service.batches() == []
    (warning,) = warnings
    assert "ordinary calls, at full price" in warning
    assert "openai:MODEL" in warning
    assert rows(tmp_path, "SELECT COUNT(batch) FROM attempts") == [(0,)]
