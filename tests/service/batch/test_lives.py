"""A run that ends while its batch is under way, and the next one: nothing is bought twice.

A life ends here as with Ctrl-C. What it leaves is what a SIGKILL leaves, because every row is
durable before the next step; `test_killed.py` proves that with processes.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from llamaduo.errors import RunIncompatible
from llamaduo.service.client import connect
from tests.service.batch.rehearsed import (
    PROVIDERS,
    ask,
    ask_until,
    living,
    question,
    rehearsing,
    rows,
    spent,
    until,
)

STATES = "SELECT state, handle IS NULL FROM batches ORDER BY rowid"


@pytest.mark.parametrize("model", PROVIDERS)
async def test_what_is_under_way_is_collected_by_the_next_life(tmp_path: Path, model: str) -> None:
    with rehearsing(tmp_path, seconds=0.6) as service:
        settings = service.settings(model)
        async with living(tmp_path, settings) as life:
            await ask_until(life, 6, lambda: life.told("requests"))
            assert spent(life).waiting == 6
        assert rows(tmp_path, STATES) == [("submitted", 0)]
        assert service.bought().total() == 0

        async with living(tmp_path, settings) as life:
            replies = await ask(life, 8)  # two more than before: too few for a batch
            assert (spent(life).answered, spent(life).in_doubt, spent(life).waiting) == (8, 0, 0)

    assert service.batches() == [6]
    assert service.bought().total() == 8
    assert set(service.bought().values()) == {1}
    assert rows(tmp_path, "SELECT MAX(attempt) FROM attempts") == [(1,)]
    batched = [r.usd * 1e6 - r.input_tokens / 2 - r.output_tokens for r in replies[:6]]
    assert batched == pytest.approx([0.0] * 6)  # half of $1 and $2 per million
    assert rows(tmp_path, STATES) == [("ended", 0)]


async def test_a_life_in_mode_calls_collects_what_was_batched(tmp_path: Path) -> None:
    with rehearsing(tmp_path, seconds=0.5) as service:
        async with living(tmp_path, service.settings("anthropic:m")) as life:
            await ask_until(life, 5, lambda: life.told("requests"))
        async with living(tmp_path, service.settings("anthropic:m", mode="calls")) as life:
            await ask(life, 5)
    assert service.batches() == [5]
    assert set(service.bought().values()) == {1}


async def test_what_was_collected_and_not_asked_for_is_replayed_at_half_price(
    tmp_path: Path,
) -> None:
    with rehearsing(tmp_path, seconds=0.4) as service:
        settings = service.settings("openai:m")
        async with living(tmp_path, settings) as life:
            await ask_until(life, 4, lambda: life.told("requests"))
        async with living(tmp_path, settings):  # asks for nothing
            await until(lambda: rows(tmp_path, STATES) == [("ended", 0)])
        async with living(tmp_path, settings) as life:
            replies = await ask(life, 4)
    assert all(reply.replayed for reply in replies)
    assert replies[0].usd * 1e6 == pytest.approx(
        replies[0].input_tokens / 2 + replies[0].output_tokens
    )
    assert set(service.bought().values()) == {1}


async def test_what_was_still_being_gathered_was_never_sent(tmp_path: Path) -> None:
    with rehearsing(tmp_path) as service:
        settings = service.settings("anthropic:m")
        slow = service.settings("anthropic:m", batch={"gather_seconds": 30.0})
        async with living(tmp_path, slow) as life:
            gathered = "SELECT COUNT(*) FROM attempts WHERE batch LIKE 'gathering-%'"
            await ask_until(life, 4, lambda: rows(tmp_path, gathered) == [(4,)])
        assert service.batches() == []
        async with living(tmp_path, settings) as life:
            await ask(life, 4)
            row = spent(life)
    assert (row.answered, row.failed, row.charged, row.in_doubt) == (4, 4, 0, 0)
    assert service.batches() == [4]


async def test_two_clients_of_one_model_do_not_take_each_other_s_batches(tmp_path: Path) -> None:
    with rehearsing(tmp_path, seconds=0.5) as service:
        settings = service.settings("anthropic:m")
        async with living(tmp_path, settings) as life:
            asking = asyncio.create_task(ask(life, 4))
            await until(lambda: life.told("requests"))
            async with connect(settings, life.ledger) as other:
                replies = await asyncio.gather(*(other.ask(question(n)) for n in range(4)))
            await asking
    assert all(reply.replayed for reply in replies)
    assert service.batches() == [4]
    assert set(service.bought().values()) == {1}


@pytest.mark.parametrize("model", PROVIDERS)
async def test_a_batch_whose_creation_was_not_heard_of_is_found(tmp_path: Path, model: str) -> None:
    with rehearsing(tmp_path, seconds=0.3, hold="after") as service:
        settings = service.settings(model)
        async with living(tmp_path, settings) as life:
            await ask_until(life, 6, lambda: service.lines("held"))
        assert rows(tmp_path, STATES) == [("preparing", 1)]
        async with living(tmp_path, settings) as life:
            await ask(life, 6)
    assert service.batches() == [6]
    assert set(service.bought().values()) == {1}
    assert rows(tmp_path, STATES) == [("ended", 0)]


@pytest.mark.parametrize("model", PROVIDERS)
async def test_a_batch_that_was_never_created_is_submitted_again(
    tmp_path: Path, model: str
) -> None:
    with rehearsing(tmp_path, hold="before") as service:
        settings = service.settings(model)
        async with living(tmp_path, settings) as life:
            await ask_until(life, 6, lambda: service.lines("held"))
        assert rows(tmp_path, STATES) == [("preparing", 1)]
        async with living(tmp_path, settings) as life:
            await ask(life, 6)
            row = spent(life)
    assert service.batches() == [6]
    assert set(service.bought().values()) == {1}
    assert rows(tmp_path, STATES) == [("lost", 1), ("ended", 0)]
    assert (row.answered, row.failed, row.charged, row.in_doubt) == (6, 6, 0, 0)


async def test_another_run_s_batch_of_the_same_size_is_left_alone(tmp_path: Path) -> None:
    other, ours = tmp_path / "other", tmp_path / "ours"
    other.mkdir()
    ours.mkdir()
    with rehearsing(tmp_path, seconds=0.2) as service:
        settings = service.settings("anthropic:m")
        async with living(other, settings) as life:
            await ask(life, 4)
        async with living(ours, settings) as life:
            await ask_until(life, 4, lambda: rows(ours, STATES))
        with closing(sqlite3.connect(ours / "ledger.sqlite")) as ledger, ledger:
            ledger.execute("UPDATE batches SET handle = NULL, state = 'preparing'")
            ledger.execute("UPDATE attempts SET key = 'f' || substr(key, 2)")
            ledger.execute("UPDATE attempts SET state = 'sent', reply = NULL")
        async with living(ours, settings) as life:
            await ask(life, 4)
            await until(lambda: rows(ours, STATES)[0] == ("lost", 1))


async def test_a_batch_that_is_gone_stays_in_doubt_and_is_asked_again(tmp_path: Path) -> None:
    with rehearsing(tmp_path, seconds=60) as service:
        settings = service.settings("openai:m")
        async with living(tmp_path, settings) as life:
            await ask_until(life, 4, lambda: life.told("requests"))
        with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as ledger, ledger:
            ledger.execute("UPDATE batches SET handle = json_set(handle, '$.id', 'batch_x')")
        async with living(tmp_path, service.settings("openai:m", batch={"smallest": 9})) as life:
            await ask(life, 4)
            row = spent(life)
            (warning,) = life.told("warning")
    assert (row.answered, row.in_doubt, row.waiting) == (4, 4, 0)
    assert "may have been charged" in warning


async def test_a_batch_at_another_address_is_not_bought_again(tmp_path: Path) -> None:
    with rehearsing(tmp_path, seconds=60) as service:
        async with living(tmp_path, service.settings("openai:m")) as life:
            await ask_until(life, 4, lambda: life.told("requests"))
        (handle,) = rows(tmp_path, "SELECT handle FROM batches")[0]
        moved = service.settings("openai:m").model_copy(
            update={"base_url": f"{service.address}/v1/elsewhere"}
        )
        async with living(tmp_path, moved) as life:
            with pytest.raises(RunIncompatible, match="another address"):
                await ask(life, 4)
    assert json.loads(json.loads(handle)["group"])["credential"] is None
    assert service.batches() == [4]
