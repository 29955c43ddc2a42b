"""`llamaduo spend`: money by state, whoever owns the run."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from llamaduo.cli.app import main
from llamaduo.service.ledger import Attempt, Cost, Ledger, RawReply
from llamaduo.storage.lock import is_locked, locked

RAW = RawReply(200, "application/json", b"{}")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run that has begun, beside its configuration."""
    (tmp_path / "data.csv").write_text("prompt,completion\na,b\n")
    (tmp_path / "llamaduo.yaml").write_text(
        "task: {topic: facts}\ncoverage: {data: data.csv, reference_source: human}\n"
    )
    folder = tmp_path / "runs" / "main"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text('{"version": 1, "stages": {}}')
    monkeypatch.chdir(tmp_path)
    return folder


def llamaduo(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["llamaduo", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


async def call(
    ledger: Ledger, key: str, *, usd: float | None = None, model: str = "openai-chat:m",
    instead_of: str | None = None, answered: bool = True,
) -> Attempt:  # fmt: skip
    async with ledger.attempt(
        key, stage="judge", model=model, request="{}", most_usd=0.4, budget_usd=None,
        instead_of=instead_of,
    ) as attempt:  # fmt: skip
        if answered:
            await ledger.answer(attempt, RAW)
            await ledger.settle(attempt, Cost("m-1", 1000, 20, usd))
        return attempt


async def fill(run: Path) -> None:
    with Ledger.open(run / "ledger.sqlite") as ledger:
        await call(ledger, "a", usd=0.25)
        await call(ledger, "a again", usd=0.25, instead_of="a")
        await call(ledger, "b", answered=False)
        failed = await call(ledger, "c", answered=False)
        await ledger.fail(failed, "ReadError", charged=True)


async def test_money_by_state(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await fill(run)
    assert llamaduo(monkeypatch, "spend") == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    row = next(line for line in lines if "openai-chat:m" in line)
    assert " ".join(row).endswith("2 $0.5000 0 1, up to $0.4000 1, up to $0.4000 1, $0.2500")
    assert any("Total" in line for line in lines)


async def test_as_json(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await fill(run)
    with Ledger.open(run / "ledger.sqlite") as ledger:
        await call(ledger, "d", model="openai-chat:unknown", usd=None)
    with locked(run):
        assert llamaduo(monkeypatch, "spend", "--json") == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["in_flight"] is True
    assert found["unpriced"] == ["openai-chat:unknown"]
    assert [row["priced"] for row in found["rows"]] == [True, False]
    total = found["total"]
    assert (total["answered"], total["usd"], total["priced"]) == (3, 0.5, False)
    assert (total["in_doubt"], total["in_doubt_usd_at_most"]) == (1, 0.4)
    assert (total["charged"], total["charged_usd_at_most"]) == (1, 0.4)
    assert (total["unused"], total["unused_usd"]) == (1, 0.25)


async def test_an_unknown_price_is_said_and_not_a_zero(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Ledger.open(run / "ledger.sqlite") as ledger:
        await call(ledger, "a", model="openai-chat:unknown", usd=None)
        await call(ledger, "b", model="openai-chat:unknown", answered=False)
    assert llamaduo(monkeypatch, "spend") == 0
    shown = capsys.readouterr().out
    assert "No price is known for openai-chat:unknown" in shown
    assert "$0" not in shown


def test_a_run_without_calls(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert llamaduo(monkeypatch, "spend") == 0
    assert "No call to a service LLM is on record." in capsys.readouterr().out
    assert not is_locked(run)
    assert llamaduo(monkeypatch, "spend", "--name", "other") == 2
