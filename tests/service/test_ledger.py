"""The ledger's rows and sums, without a network."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from llamaduo.errors import BudgetExceeded, RunError
from llamaduo.records import Event
from llamaduo.service.calls import open_calls
from llamaduo.service.ledger import (
    AFTER_THE_LOOP,
    Attempt,
    Cost,
    History,
    Ledger,
    RawReply,
    Sent,
    SpendRow,
    read_spend,
)
from llamaduo.storage.journal import Row, read_rows

RAW = RawReply(200, "application/json", b'{"a": 1}')
COST = Cost("model-2026", 100, 20, 0.5)


async def intend(
    ledger: Ledger,
    key: str = "k",
    *,
    stage: str = "judge",
    most: float = 1.0,
    budget: float | None = None,
) -> Attempt:
    """An attempt that is no longer in flight, but neither settled nor failed yet."""
    async with ledger.attempt(
        key, stage=stage, model="openai-chat:m", request="{}", most_usd=most, budget_usd=budget
    ) as attempt:
        return attempt


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


async def test_an_answer_is_found_again_byte_for_byte(path: Path) -> None:
    with Ledger.open(path) as ledger:
        attempt = await intend(ledger)
        await ledger.answer(attempt, RAW)
        await ledger.settle(attempt, COST)
    with Ledger.open(path) as ledger:
        found = (await ledger.find("k")).answered
        assert found is not None
        assert (found.raw, found.settled, found.attempt.number) == (RAW, True, 1)
        assert await ledger.find("other") == History(None, spoiled=0, in_doubt=0)


async def test_an_answer_that_was_never_read_is_unsettled(path: Path) -> None:
    with Ledger.open(path) as ledger:
        await ledger.answer(await intend(ledger), RAW)
    with Ledger.open(path) as ledger:
        found = (await ledger.find("k")).answered
        assert found is not None
        assert not found.settled


async def test_spend_counts_what_is_answered_in_doubt_and_failed(path: Path) -> None:
    with Ledger.open(path) as ledger:
        failed = await intend(ledger, "a")
        await ledger.fail(failed, "HTTP 500", charged=False)
        answered = await intend(ledger, "a")
        await ledger.answer(answered, RAW)
        await ledger.settle(answered, COST)
        await intend(ledger, "b")

        expected = SpendRow(
            "judge", "openai-chat:m", 1, 1, 1, 100, 20, 0.5, in_doubt_usd_at_most=1.0
        )
        assert ledger.spend() == read_spend(path) == (expected,)
        assert ledger.loop_usd() == 0.5
        assert answered.number == 2


async def test_what_is_asked_after_the_loop_is_not_what_the_loop_spent(path: Path) -> None:
    with Ledger.open(path) as ledger:
        for key, stage in (("a", "judge"), ("b", AFTER_THE_LOOP)):
            answered = await intend(ledger, key, stage=stage)
            await ledger.answer(answered, RAW)
            await ledger.settle(answered, COST)
        assert ledger.loop_usd() == 0.5
        assert sum(row.usd for row in ledger.spend()) == 1.0


async def test_an_answer_without_a_price_is_flagged(path: Path) -> None:
    with Ledger.open(path) as ledger:
        attempt = await intend(ledger, most=0.0)
        await ledger.answer(attempt, RAW)
        assert ledger.spend()[0].priced  # not read yet, so nothing is known to lack a price
        await ledger.settle(attempt, Cost("m", 100, 20, None))
        assert (ledger.spend()[0].usd, ledger.spend()[0].priced) == (0.0, False)


async def test_an_answer_that_cannot_be_read_is_no_answer_but_is_kept(path: Path) -> None:
    with Ledger.open(path) as ledger:
        attempt = await intend(ledger)
        await ledger.answer(attempt, RAW)
        await ledger.fail(attempt, "not a reply", charged=True)
        assert await ledger.find("k") == History(None, spoiled=1, in_doubt=0)
        (row,) = ledger.spend()
        assert (row.failed, row.charged, row.charged_usd_at_most) == (1, 1, 1.0)
    assert read_rows(path, "SELECT reply, error FROM attempts") == [(RAW.body, "not a reply")]


@pytest.mark.parametrize(("charged", "fits"), [(True, False), (False, True)])
async def test_a_failure_counts_against_the_budget_if_it_may_have_been_charged(
    path: Path, charged: bool, fits: bool
) -> None:
    with Ledger.open(path) as ledger:
        await ledger.fail(await intend(ledger, most=0.6), "why", charged=charged)
    with Ledger.open(path) as ledger:
        if fits:
            await intend(ledger, most=0.6, budget=1.0)
        else:
            with pytest.raises(BudgetExceeded):
                await intend(ledger, most=0.6, budget=1.0)


async def test_the_budget_counts_real_cost_once_it_is_known(path: Path) -> None:
    with Ledger.open(path) as ledger:
        attempt = await intend(ledger, most=0.9, budget=1.0)
        with pytest.raises(BudgetExceeded, match=r"may cost \$0.2000; with \$0.9000"):
            await intend(ledger, "b", most=0.2, budget=1.0)
        await ledger.answer(attempt, RAW)
        await ledger.settle(attempt, COST)
        await intend(ledger, "b", most=0.2, budget=1.0)


async def test_snapshots_of_a_model_are_told_apart(path: Path) -> None:
    with Ledger.open(path) as ledger:
        for key, snapshot in (("a", "m-1"), ("b", "m-2"), ("c", "m-1")):
            attempt = await intend(ledger, key)
            await ledger.answer(attempt, RAW)
            await ledger.settle(attempt, Cost(snapshot, 1, 1, 0.0))
        assert ledger.snapshots() == {"openai-chat:m": ("m-1", "m-2")}


async def test_events_count_each_kind_of_row(path: Path) -> None:
    events: list[Event] = []
    with Ledger.open(path, events.append) as ledger:
        first = await intend(ledger, "a")
        await ledger.fail(first, "HTTP 500", charged=False)
        second = await intend(ledger, "a")
        await ledger.answer(second, RAW)
        await ledger.settle(second, COST)
    assert [(e.unit, e.done) for e in events] == [
        ("intent", 1), ("failure", 1), ("intent", 2), ("answer", 1),
    ]  # fmt: skip


def test_a_ledger_whose_process_died_before_its_first_table_is_an_empty_one(path: Path) -> None:
    path.touch()
    with open_calls(path) as calls:
        assert (list(calls), calls.spend(), read_spend(path)) == ([], (), ())
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    assert read_spend(path) == ()
    with Ledger.open(path) as ledger:
        assert ledger.spend() == ()


def test_without_a_ledger_nothing_was_spent(path: Path) -> None:
    assert read_spend(path) == ()
    assert not path.exists()


def test_a_file_that_is_no_ledger_is_refused(path: Path) -> None:
    path.write_text("notes to myself " * 50)
    with pytest.raises(RunError, match=r"ledger\.sqlite is not"):
        Ledger.open(path)
    with pytest.raises(RunError, match=r"ledger\.sqlite is not"):
        read_spend(path)


# --- money by state -----------------------------------------------------------------------


async def test_money_is_told_apart_by_state(path: Path) -> None:
    with Ledger.open(path) as ledger:
        useless = await intend(ledger, "a")
        await ledger.answer(useless, RAW)
        await ledger.settle(useless, Cost("m", 100, 20, 0.5, cached_tokens=40))
        async with ledger.attempt(
            "a again", stage="judge", model="openai-chat:m", request="{}", most_usd=1.0,
            budget_usd=None, instead_of="a",
        ) as used:  # fmt: skip
            await ledger.answer(used, RAW)
            await ledger.settle(used, COST)
        await ledger.fail(await intend(ledger, "b", most=0.3), "reset", charged=True)
        await ledger.fail(await intend(ledger, "b", most=0.3), "HTTP 503", charged=False)
        await intend(ledger, "c", most=0.2)
        (row,) = ledger.spend()
    assert (row.answered, row.usd, row.unused, row.unused_usd) == (2, 1.0, 1, 0.5)
    assert (row.failed, row.charged, row.charged_usd_at_most) == (2, 1, 0.3)
    assert (row.in_doubt, row.in_doubt_usd_at_most) == (1, 0.2)
    assert row.cached_tokens == 40


async def test_what_waits_in_a_batch_is_not_in_doubt(path: Path) -> None:
    def batch(state: str) -> None:
        sql = "INSERT INTO batches (id, model, state, created_at) VALUES (?, 'm', ?, '')"
        ledger._journal.execute(sql, (state, state)).result()

    with Ledger.open(path) as ledger:
        for state in ("submitted", "lost"):
            batch(state)
            async with ledger.attempt(
                state, stage="judge", model="m", request="{}", most_usd=0.4, budget_usd=None,
                batch=state,
            ):  # fmt: skip
                pass
        (row,) = ledger.spend()
    assert (row.waiting, row.waiting_usd_at_most) == (1, 0.4)
    assert (row.in_doubt, row.in_doubt_usd_at_most) == (1, 0.4)


async def test_where_it_went_and_whose_text_it_had_is_kept(path: Path) -> None:
    with Ledger.open(path) as ledger:
        async with ledger.attempt(
            "k", stage="judge", model="m", request="{}", most_usd=0.0, budget_usd=None,
            host="api.example", pairs=("p1", "p2"),
        ) as attempt:  # fmt: skip
            assert read_rows(path, "SELECT host, bytes_out FROM attempts") == [
                ("api.example", None)
            ]
            await ledger.answer(attempt, RAW, Sent("api.example:443", 812))
    with open_calls(path) as calls:
        (call,) = calls
    assert (call.host, call.bytes_out, call.pairs) == ("api.example:443", 812, '["p1", "p2"]')


async def test_the_models_that_replies_name_are_kept_once(path: Path) -> None:
    with Ledger.open(path) as ledger:
        for key, snapshot in (("a", "m-1"), ("b", "m-2"), ("c", "m-1")):
            attempt = await intend(ledger, key)
            await ledger.answer(attempt, RAW)
            await ledger.settle(attempt, Cost(snapshot, 1, 1, 0.0))
    found = read_rows(path, "SELECT model, resolved, how FROM models ORDER BY resolved")
    assert found == [("openai-chat:m", name, "replied") for name in ("m-1", "m-2")]


# --- a ledger of schema 1 -----------------------------------------------------------------

FIRST_SCHEMA = """
    CREATE TABLE attempts (
      key TEXT NOT NULL, attempt INTEGER NOT NULL, stage TEXT NOT NULL, model TEXT NOT NULL,
      state TEXT NOT NULL CHECK (state IN ('sent', 'answered', 'failed')), request TEXT NOT NULL,
      held_usd REAL NOT NULL, status INTEGER, content_type TEXT, reply BLOB, error TEXT,
      snapshot TEXT, input_tokens INTEGER, output_tokens INTEGER, usd REAL, sent_at TEXT NOT NULL,
      ended_at TEXT, PRIMARY KEY (key, attempt)
    );
    CREATE UNIQUE INDEX one_answer ON attempts (key) WHERE state = 'answered';
    INSERT INTO attempts VALUES
      ('a', 1, 'judge', 'm', 'failed', '{}', 0.0, 503, 'text/plain', X'00', 'HTTP 503',
       NULL, NULL, NULL, NULL, 't1', 't2'),
      ('a', 2, 'judge', 'm', 'answered', '{}', 0.5, 200, 'application/json', X'7B7D', NULL,
       'm-1', 100, 20, 0.5, 't3', 't4'),
      ('b', 1, 'judge', 'm', 'failed', '{}', 0.7, NULL, NULL, NULL, 'reset',
       NULL, NULL, NULL, NULL, 't5', 't6'),
      ('c', 1, 'judge', 'm', 'sent', '{}', 0.25, NULL, NULL, NULL, NULL,
       NULL, NULL, NULL, NULL, 't7', NULL);
    PRAGMA user_version = 1;
    PRAGMA journal_mode = WAL"""
OLD_ROWS = """
    SELECT key, attempt, stage, model, state, request, held_usd, status, content_type, reply, error,
      snapshot, input_tokens, output_tokens, usd, sent_at, ended_at
    FROM attempts ORDER BY rowid"""
OLD_SPEND = SpendRow(
    "judge", "m", 1, 1, 2, 100, 20, 0.5, in_doubt_usd_at_most=0.25, charged=1,
    charged_usd_at_most=0.7,
)  # fmt: skip


@pytest.fixture
def old(path: Path) -> list[Row]:
    """Every row of a ledger that an older llamaduo wrote."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(FIRST_SCHEMA)
    return read_rows(path, OLD_ROWS)


def test_a_ledger_of_schema_1_is_read_where_it_is(path: Path, old: list[Row]) -> None:
    assert read_spend(path) == (OLD_SPEND,)
    with open_calls(path) as calls:
        assert [(call.key, call.state, call.host) for call in calls] == [
            ("a", "failed", None), ("a", "answered", None), ("b", "failed", None),
            ("c", "sent", None),
        ]  # fmt: skip
        assert calls.spend() == (OLD_SPEND,)
    assert read_rows(path, OLD_ROWS) == old
    assert read_rows(path, "PRAGMA user_version") == [(1,)]


async def test_a_ledger_of_schema_1_is_brought_to_ours_with_every_row(
    path: Path, old: list[Row]
) -> None:
    with Ledger.open(path) as ledger:
        assert ledger.spend() == (OLD_SPEND,)
        history = await ledger.find("a")
        assert history.answered is not None
        assert (history.answered.raw.body, history.answered.settled) == (b"{}", True)
        assert (await ledger.find("c")).in_doubt == 1
    assert read_rows(path, OLD_ROWS) == old
    assert read_rows(path, "SELECT * FROM models") == [("m", "m-1", "replied", "t3")]
