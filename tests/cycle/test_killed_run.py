"""A run that is killed again and again ends like one that never was, and buys nothing twice."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from llamaduo.rehearsal.process import running_rehearsal
from tests.cycle.small_loop import prepare

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
    ("cycles/000/curate", "stage", 1),
    ("cycle 1: finetune", "steps", 5),
    ("cycle 1: infer", "responses", 1),
    ("ledger", "answer", 1),
    ("final/judge", "stage", 1),
]
"""Every stage is hit: fine-tunes by steps, inference by batches, paid stages by ledger rows."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("loop")
    prepare(folder)
    return folder


@pytest.fixture(scope="module")
def record(folder: Path) -> Path:
    return folder / "asked.jsonl"


@pytest.fixture(scope="module")
def base_url(record: Path) -> Iterator[str]:
    with running_rehearsal(record) as url:
        yield url


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
    """How often each request body was answered by the service, by its own record."""
    rows = map(json.loads, record.read_text(encoding="utf-8").splitlines())
    return Counter(row["body"] for row in rows if row["event"] == "delivered")


def test_a_killed_run_ends_like_an_undisturbed_one(
    folder: Path, base_url: str, record: Path
) -> None:
    assert live(folder, base_url, "undisturbed", []) == [0]
    before = asked(record)
    assert set(before.values()) == {1}, "an undisturbed run asks nothing twice"

    ends = live(folder, base_url, "killed", DEATHS)
    assert ends == [-9] * len(DEATHS) + [0]

    for name in ("verdict.json", "base/scores.json", "cycles/001/scores.json", "final/scores.json"):
        undisturbed, killed = (folder / "runs" / run / name for run in ("undisturbed", "killed"))
        assert json.loads(killed.read_text()) == json.loads(undisturbed.read_text()), name
