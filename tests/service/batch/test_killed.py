"""Processes that are killed around a batch: the next one buys nothing twice."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.service.batch.rehearsed import PROVIDERS, rehearsing, rows, until

COUNT = 12
ASKER = """
import asyncio, sys
from pathlib import Path
from tests.service.batch.rehearsed import Rehearsed, ask, living

folder, address, model, count = sys.argv[1:]
service = Rehearsed(address, Path(folder) / "record.jsonl")

async def main():
    async with living(Path(folder), service.settings(model)) as life:
        for reply in await ask(life, int(count)):
            print(reply.text)

asyncio.run(main())
"""


async def start(folder: Path, address: str, model: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", ASKER, str(folder), address, model, str(COUNT),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": f"src{os.pathsep}."},
    )  # fmt: skip


def submitted(folder: Path) -> bool:
    try:
        return rows(folder, "SELECT state FROM batches") == [("submitted",)]
    except Exception:  # noqa: BLE001 - the file is being made
        return False


@pytest.mark.proof
@pytest.mark.parametrize(
    ("model", "when"),
    [*((model, "waiting") for model in PROVIDERS), ("openai:m", "before"), ("openai:m", "after")],
)
async def test_a_killed_process_s_batch_is_bought_once(
    tmp_path: Path, model: str, when: str
) -> None:
    plan: dict[str, Any] = {"seconds": 8} if when == "waiting" else {"hold": when}
    with rehearsing(tmp_path, **plan) as service:
        ready: Callable[[], Any] = (
            (lambda: submitted(tmp_path)) if when == "waiting" else (lambda: service.lines("held"))
        )
        victim = await start(tmp_path, service.address, model)
        await until(ready)
        victim.kill()
        assert await victim.wait() == -signal.SIGKILL
        assert service.bought().total() == 0

        heir = await start(tmp_path, service.address, model)
        printed, _ = await heir.communicate()
        assert heir.returncode == 0

    assert len(printed.splitlines()) == COUNT
    assert service.batches() == [COUNT]
    assert service.bought().total() == COUNT
    assert set(service.bought().values()) == {1}
    states = [state for (state,) in rows(tmp_path, "SELECT state FROM batches ORDER BY rowid")]
    assert states == (["lost", "ended"] if when == "before" else ["ended"])
