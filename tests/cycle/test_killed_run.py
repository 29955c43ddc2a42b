"""A run that is killed again and again ends like one that never was, and buys nothing twice."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

DEATHS = [
    ("import", "stage", 1),
    ("split", "stage", 2),
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
    ("final: infer", "responses", 1),
    ("final/000/judge", "stage", 1),
]
"""Every stage is hit: fine-tunes by steps, inference by batches, paid stages by ledger rows."""

CONCURRENCY = 4
"""Calls in flight at once, as the small loop is configured."""


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


def test_a_killed_run_ends_like_an_undisturbed_one(
    folder: Path, base_url: str, record: Path
) -> None:
    assert live(folder, base_url, "undisturbed", []) == [0]
    undisturbed = asked(record)
    assert set(undisturbed.values()) == {1}, "an undisturbed run asks nothing twice"

    ends = live(folder, base_url, "killed", DEATHS)
    assert ends == [-9] * len(DEATHS) + [0]

    for file in (
        "verdict.json",
        "base/scores.json",
        "cycles/001/scores.json",
        "final/000/scores.json",
    ):
        expected, killed = (folder / "runs" / run / file for run in ("undisturbed", "killed"))
        assert json.loads(killed.read_text()) == json.loads(expected.read_text()), file
    for file in ("cycles/000/synthetic.jsonl", "cycles/000/dropped.jsonl"):
        expected, killed = (folder / "runs" / run / file for run in ("undisturbed", "killed"))
        assert killed.read_text() == expected.read_text(), file

    rows = attempts(folder, "killed")
    answered = {key: attempt for key, attempt, state in rows if state == "answered"}
    again = [key for key, attempt, _ in rows if attempt > answered.get(key, attempt)]
    assert again == [], "an answered call was bought again"
    in_doubt = sum(state == "sent" for _, _, state in rows)
    paid_deaths = sum(unit in ("intent", "answer", "requests") for _, unit, _ in DEATHS)
    assert 0 < in_doubt <= paid_deaths * CONCURRENCY
    repeated = asked(record) - undisturbed - undisturbed
    assert repeated.total() <= in_doubt, "the service was asked again only what was in doubt"
    assert set(asked(record)) == set(undisturbed), "and nothing that it was not asked before"
