"""What do the ledger and the pacer add to a call, in CPU time?

    python benchmarks/service/overhead.py

The same judging questions go to the rehearsal service, which runs in a process of its own, in
two ways: through pydantic-ai alone (the same SDK client, no retries), and through llamaduo's
client with its ledger on disk, its pacer and its redaction. Rounds alternate in this one process;
what counts is the CPU time of all its threads, the journal's among them, per call. Medians.
Asked for: under 1 ms added. Writes ``overhead.json`` beside this file.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import platform
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from llamaduo.records import Message, Pair, Provenance, Question
from llamaduo.redaction.redactor import open_redactor
from llamaduo.redaction.settings import RedactionSettings
from llamaduo.rehearsal.process import running_rehearsal
from llamaduo.service.client import connect
from llamaduo.service.ledger import Ledger
from llamaduo.service.settings import ServiceSettings
from llamaduo.tasks.settings import TaskSettings
from llamaduo.tasks.templates import JUDGEMENT_SCHEMA, JUDGEMENT_SHAPE, judge_messages

CALLS, IN_FLIGHT, ROUNDS = 600, 32, 7
ASKED_MS = 1.0
TEXT = "A ticket from Ana: my invoice is too high, #412. Please take a look. " * 12


def main() -> None:
    rounds: dict[str, list[float]] = {"pydantic-ai alone": [], "llamaduo": []}
    with running_rehearsal() as address, tempfile.TemporaryDirectory() as folder:
        settings = ServiceSettings(
            model="openai-chat:rehearsal", base_url=address, concurrency=IN_FLIGHT
        )
        asyncio.run(_alone(settings, -1))  # imports, connections, caches
        asyncio.run(_ours(settings, -1, Path(folder) / "warm.sqlite"))
        for number in range(ROUNDS):
            rounds["pydantic-ai alone"].append(asyncio.run(_alone(settings, number)))
            path = Path(folder) / f"{number}.sqlite"
            rounds["llamaduo"].append(asyncio.run(_ours(settings, number, path)))
    _write(rounds)


def _question(number: int, sample: int) -> Question:
    ticket = (Message("user", f"Round {number}, ticket {sample}. {TEXT}"),)
    pair = Pair(
        id=f"{number}-{sample}",
        messages=ticket,
        response="billing, normal",
        reference_source="human",
        provenance=Provenance(origin="coverage", source="benchmark"),
    )
    return Question(
        stage="judge",
        messages=judge_messages(TaskSettings(), pair, "billing, high"),
        sample=sample,
        shape=JUDGEMENT_SHAPE,
        schema=JUDGEMENT_SCHEMA,
        max_tokens=400,
        about=(pair.id,),
    )


async def _alone(settings: ServiceSettings, number: int) -> float:
    """CPU milliseconds a call through pydantic-ai and the SDK."""
    import httpx2

    from llamaduo.service.providers import build_model, send

    async with httpx2.AsyncClient(limits=httpx2.Limits(max_connections=IN_FLIGHT)) as http:
        model = build_model(settings, "no-key-on-loopback", http)

        async def ask(sample: int) -> None:
            await send(model, _question(number, sample), seeded=True)

        return await _timed(ask)


async def _ours(settings: ServiceSettings, number: int, path: Path) -> float:
    """CPU milliseconds a call through llamaduo's client, with a new ledger at ``path``."""
    redactor = open_redactor(RedactionSettings(), path.with_suffix(".jsonl"))
    with Ledger.open(path) as ledger:
        async with connect(settings, ledger, redactor=redactor) as service:

            async def ask(sample: int) -> None:
                await service.ask(_question(number, sample))

            return await _timed(ask)


async def _timed(ask: Callable[[int], Awaitable[None]]) -> float:
    gate = asyncio.Semaphore(IN_FLIGHT)

    async def one(sample: int) -> None:
        async with gate:
            await ask(sample)

    gc.collect()
    began = time.process_time()
    await asyncio.gather(*(one(sample) for sample in range(CALLS)))
    return (time.process_time() - began) * 1000 / CALLS


def _write(rounds: dict[str, list[float]]) -> None:
    medians = {name: round(median(times), 3) for name, times in rounds.items()}
    added = [ours - alone for alone, ours in zip(*rounds.values(), strict=True)]
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, {_processor()}",
        "python": platform.python_version(),
        "calls_a_round": CALLS,
        "in_flight": IN_FLIGHT,
        "cpu_ms_a_call": medians,
        "added_ms_a_call": {
            "median": round(median(added), 3),
            "least": round(min(added), 3),
            "most": round(max(added), 3),
        },
        "asked_for_ms": ASKED_MS,
        "reached": median(added) < ASKED_MS,
    }
    text = json.dumps(result, indent=2) + "\n"
    Path(__file__).with_suffix(".json").write_text(text, encoding="utf-8")
    print(text)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


if __name__ == "__main__":
    main()
