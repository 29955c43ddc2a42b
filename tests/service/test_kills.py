"""A process that is killed in the middle of its calls loses no answer and buys none twice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from llamaduo.service.ledger import read_spend
from llamaduo.storage.journal import read_rows
from tests.service.loopback import Service, serving

QUESTIONS = 24
ASKER = """
import asyncio, os, signal, sys
from pathlib import Path
from llamaduo.records import Message, Question
from llamaduo.service.client import connect
from llamaduo.service.ledger import Ledger
from llamaduo.service.settings import ServiceSettings

path, url, unit, place, count = sys.argv[1:]

def notify(event):
    if (event.unit, event.done) == (unit, int(place)):
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    settings = ServiceSettings(model="openai-chat:m", base_url=url)
    with Ledger.open(Path(path), notify) as ledger:
        async with connect(settings, ledger) as client, asyncio.TaskGroup() as group:
            lanes = asyncio.Semaphore(4)

            async def ask(n):
                async with lanes:
                    await ask_one(n)

            async def ask_one(n):
                question = Question(stage="s", messages=(Message("user", "q"),), sample=n)
                reply = await client.ask(question)
                print(n, reply.text, reply.replayed, flush=True)
            for n in range(int(count)):
                group.create_task(ask(n))

asyncio.run(main())
"""


async def life(path: Path, service: Service, unit: str = "", place: int = 0) -> tuple[int, str]:
    """One life of a process that asks every question, killed at the nth row of a kind."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ASKER, str(path), service.base_url, unit, str(place), str(QUESTIONS),
        stdout=asyncio.subprocess.PIPE, env=os.environ | {"PYTHONPATH": "src"},
    )  # fmt: skip
    printed, _ = await process.communicate()
    return process.returncode or 0, printed.decode()


def answered(path: Path) -> set[int]:
    """The samples that have an answer in the ledger."""
    sql = "SELECT json_extract(request, '$.sample') FROM attempts WHERE state = 'answered'"
    return {sample for (sample,) in read_rows(path, sql)}


async def test_no_life_loses_an_answer_or_asks_for_it_again(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    kept: set[int] = set()
    async with serving() as service:
        for unit, place in (("intent", 1), ("answer", 1), ("answer", 6), ("intent", 7)):
            service.bodies.clear()
            status, _ = await life(path, service, unit, place)
            assert status == -signal.SIGKILL
            assert kept.isdisjoint(body["seed"] for body in service.bodies)
            assert kept <= answered(path)
            kept = answered(path)
        service.bodies.clear()
        status, printed = await life(path, service)

    assert status == 0
    assert {body["seed"] for body in service.bodies} == set(range(QUESTIONS)) - kept
    assert len(service.bodies) == QUESTIONS - len(kept)
    said = {
        int(n): (text, replayed) for n, _, text, replayed in map(str.split, printed.splitlines())
    }
    assert said == {n: (str(n), str(n in kept)) for n in range(QUESTIONS)}

    (row,) = read_spend(path)
    assert (row.answered, row.failed) == (QUESTIONS, 0)
    assert row.in_doubt >= 1  # what was cut off may have been charged, and stays in sight
    assert row.input_tokens == QUESTIONS * 100  # also of answers that no life had read yet


@pytest.mark.proof
def test_fifty_kills_at_random_moments_lose_nothing(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "benchmarks/service/kills.py", "--kills", "50", "--out", str(tmp_path)],
        env=os.environ | {"PYTHONPATH": "src"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = json.loads((tmp_path / "kills.json").read_text())
    assert found["kills"] == 50
    assert found["acknowledged"] > 50
    assert (found["acknowledged_lost"], found["acknowledged_bought_again"]) == (0, 0)
    assert found["most_wasted_in_a_life"] <= found["in_flight"]
    assert found["records_different"] == 0
