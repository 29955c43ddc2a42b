"""The ledger's rows and sums, without a network."""

from __future__ import annotations

from pathlib import Path

import pytest

from llamaduo.errors import BudgetExceeded, RunError
from llamaduo.records import Event
from llamaduo.service.ledger import (
    AFTER_THE_LOOP,
    Attempt,
    Cost,
    Ledger,
    RawReply,
    SpendRow,
    read_spend,
)
from llamaduo.storage.journal import read_rows

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
        found = await ledger.find("k")
        assert found is not None
        assert (found.raw, found.settled, found.attempt.number) == (RAW, True, 1)
        assert await ledger.find("other") is None


async def test_an_answer_that_was_never_read_is_unsettled(path: Path) -> None:
    with Ledger.open(path) as ledger:
        await ledger.answer(await intend(ledger), RAW)
    with Ledger.open(path) as ledger:
        found = await ledger.find("k")
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

        expected = SpendRow("judge", "openai-chat:m", 1, 1, 1, 100, 20, 0.5)
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
        assert await ledger.find("k") is None
        assert ledger.spend()[0].failed == 1
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


def test_without_a_ledger_nothing_was_spent(path: Path) -> None:
    assert read_spend(path) == ()
    assert not path.exists()


def test_a_file_that_is_no_ledger_is_refused(path: Path) -> None:
    path.write_text("notes to myself " * 50)
    with pytest.raises(RunError, match=r"ledger\.sqlite is not"):
        Ledger.open(path)
    with pytest.raises(RunError, match=r"ledger\.sqlite is not"):
        read_spend(path)
