"""A run that is killed again and again ends like one that never was, and buys nothing twice."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.cycle.small_loop import configuration, run_loop

REPOSITORY = Path(__file__).resolve().parents[2]

DEATHS = [
    ("import", "stage", 1),
    ("split", "stage", 2),
    ("service: answer", "responses", 2),
    ("ledger", "answer", 3),
    ("service/judge", "stage", 1),
    ("ledger", "intent", 6),
    ("base: infer", "responses", 1),
    ("ledger", "intent", 3),
    ("ledger", "answer", 5),
    ("cycle 0: finetune", "steps", 2),
    ("cycle 0: infer", "responses", 2),
    ("ledger", "answer", 2),
    ("ledger", "intent", 4),
    ("cycle 0: synthesize", "requests", 2),
    ("cycles/000/curate", "stage", 1),
    ("cycle 1: finetune", "steps", 5),
    ("cycle 1: infer", "responses", 1),
    ("ledger", "answer", 1),
    ("service-final/answer", "stage", 2),
    ("ledger", "answer", 2),
    ("final: infer", "responses", 1),
    ("final/000/judge", "stage", 1),
]
"""Every stage is hit: fine-tunes by steps, inference by batches, paid stages by ledger rows."""

CONCURRENCY = 4
"""Calls in flight at once, as the small loop is configured."""

SAME_RECORDS = (
    "verdict.json",
    "service/scores.json",
    "base/scores.json",
    "cycles/000/scores.json",
    "cycles/001/scores.json",
    "service-final/scores.json",
    "final/000/scores.json",
)
SAME_TEXT = (
    "service/responses.jsonl",
    "service/controls.jsonl",
    "cycles/000/synthetic.jsonl",
    "cycles/000/dropped.jsonl",
    "cycles/001/judgements.jsonl",
)


def live(folder: Path, base_url: str, name: str, plan: list[tuple[str, str, int]]) -> list[int]:
    """Run the victim with ``plan``; how each life ended."""
    command = [sys.executable, "-m", "tests.cycle.victim", str(folder), base_url, name]
    done = subprocess.run(
        [*command, json.dumps(plan)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line)[1] for line in done.stdout.splitlines()]


def asked(record: Path) -> Counter[str]:
    """How often the service was sent each request body, by its own record."""
    rows = map(json.loads, record.read_text(encoding="utf-8").splitlines())
    return Counter(row["sha256"] for row in rows if row["event"] == "asked")


def attempts(folder: Path, name: str) -> list[tuple[str, int, str]]:
    """Key, attempt and state of every row of a run's ledger."""
    with closing(sqlite3.connect(folder / "runs" / name / "ledger.sqlite")) as ledger:
        return ledger.execute("SELECT key, attempt, state FROM attempts").fetchall()


@pytest.fixture(scope="module")
def undisturbed(folder: Path, base_url: str, record: Path) -> Counter[str]:
    """An undisturbed run in this process, named ``undisturbed``; what the service was asked for
    it."""
    run_loop(configuration(folder, base_url), folder, "undisturbed")
    once = asked(record)
    assert set(once.values()) == {1}, "an undisturbed run asks nothing twice"
    return once


def check_same_end(folder: Path, name: str) -> None:
    """The killed run left what the undisturbed one left."""
    killed, expected = (folder / "runs" / run for run in (name, "undisturbed"))
    for file in SAME_RECORDS:
        assert untimed(killed / file) == untimed(expected / file), file
    for file in SAME_TEXT:
        assert (killed / file).read_text() == (expected / file).read_text(), file


def untimed(path: Path) -> Any:
    """A record without what the local model took, which is another time each time."""
    record = json.loads(path.read_text())
    record.pop("inference", None)
    return record


def check_nothing_bought_twice(folder: Path, name: str, repeated: Counter[str], most: int) -> None:
    """By the ledger, and by the service's own record: ``repeated`` is what it was asked again."""
    rows = attempts(folder, name)
    answered = {key: attempt for key, attempt, state in rows if state == "answered"}
    again = [key for key, attempt, _ in rows if attempt > answered.get(key, attempt)]
    assert again == [], "an answered call was bought again"
    in_doubt = sum(state == "sent" for _, _, state in rows)
    assert in_doubt <= most
    assert repeated.total() <= in_doubt, "the service was asked again only what was in doubt"


def test_a_killed_run_ends_like_an_undisturbed_one(
    folder: Path, base_url: str, record: Path, undisturbed: Counter[str]
) -> None:
    before = asked(record)
    ends = live(folder, base_url, "killed", DEATHS)
    assert ends == [-9] * len(DEATHS) + [0]
    check_same_end(folder, "killed")
    now = asked(record) - before
    assert set(now) == set(undisturbed), "the service was asked what it was asked before"
    paid_deaths = sum(
        unit in ("intent", "answer", "requests") or stage == "service: answer"
        for stage, unit, _ in DEATHS
    )
    check_nothing_bought_twice(folder, "killed", now - undisturbed, paid_deaths * CONCURRENCY)


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(5))
def test_killed_anywhere(
    folder: Path, base_url: str, record: Path, undisturbed: Counter[str], seed: int
) -> None:
    """Lives that end at any event whatever, each after 8 to 60 of them."""
    before = asked(record)
    chance = random.Random(seed)
    deaths = [("*", "*", chance.randint(8, 60)) for _ in range(20)]
    ends = live(folder, base_url, f"anywhere-{seed}", deaths)
    assert ends[-1] == 0
    assert ends.count(-9) >= 5
    check_same_end(folder, f"anywhere-{seed}")
    again = asked(record) - before - undisturbed
    check_nothing_bought_twice(folder, f"anywhere-{seed}", again, len(deaths) * CONCURRENCY)
