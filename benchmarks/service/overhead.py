"""What do the ledger and the pacer add to a call, in CPU time?

    python benchmarks/service/overhead.py

The same judging questions go to the rehearsal service, which runs in a process of its own, in
five ways: through pydantic-ai alone (the same SDK client, no retries); through the same with a
ledger on disk and a pacer around each call, and a fixed body in place of the raw reply, once over
llamaduo's connections and once over the one client that pydantic-ai has alone (which looks at every
idle connection at each call, and in a commit many are idle); through llamaduo's whole client, whose
own transport keeps the raw reply, and which reads it strictly and prices it; and through that with
redaction. Rounds alternate in this one process; what counts is the CPU time of all its threads, the
journal's among them, per call. Medians. The service takes 0.1 to 0.3 s for a reply, little for a
paid one, so that calls come one by one. Asked for: under 1 ms added by ledger and pacer, over
either kind of connection; what the whole client adds is shown too. Writes ``overhead.json`` beside
this file.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import platform
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from llamaduo.records import Message, Pair, Provenance, Question
from llamaduo.redaction.redactor import Redactor, open_redactor
from llamaduo.redaction.settings import RedactionSettings
from llamaduo.rehearsal.process import running_rehearsal
from llamaduo.service.client import connect
from llamaduo.service.ledger import Cost, Ledger, RawReply, Sent
from llamaduo.service.pacing.pacers import Pacers
from llamaduo.service.pacing.sizes import Need
from llamaduo.service.requests import canonical_request, request_key
from llamaduo.service.settings import ServiceSettings
from llamaduo.service.wires import Wires
from llamaduo.tasks.settings import TaskSettings
from llamaduo.tasks.templates import JUDGEMENT_SHAPE, judge_messages, judgement_schema

if TYPE_CHECKING:
    import httpx2
    from pydantic_ai.models import Model

CALLS, IN_FLIGHT, ROUNDS = 600, 32, 7
ASKED_MS = 1.0
RAW = RawReply(200, "application/json", b"x" * 1024)
"""What goes into the ledger where no transport of ours keeps the reply itself."""
TEXT = "A ticket from Ana: my invoice is too high, #412. Please take a look. " * 12


ALONE, KEPT, POOLED = "pydantic-ai alone", "with ledger and pacer", "the same, in one client"
OURS, REDACTED = "llamaduo", "llamaduo, redacting"
LATENCY = "0.1:0.3"


def main() -> None:
    rounds: dict[str, list[float]] = {name: [] for name in (ALONE, KEPT, POOLED, OURS, REDACTED)}
    options = ["--latency", LATENCY]
    with running_rehearsal(options=options) as address, tempfile.TemporaryDirectory() as folder:
        settings = ServiceSettings(
            model="openai-chat:rehearsal", base_url=address, concurrency=IN_FLIGHT
        )
        for number in range(-1, ROUNDS):
            path = Path(folder) / f"{number}.sqlite"
            figures = {
                ALONE: asyncio.run(_alone(settings, number)),
                KEPT: asyncio.run(_kept(settings, number, path.with_suffix(".kept.sqlite"))),
                POOLED: asyncio.run(_pooled(settings, number, path.with_suffix(".one.sqlite"))),
                OURS: asyncio.run(_ours(settings, number, path, None)),
                REDACTED: asyncio.run(_redacting(settings, number, path)),
            }
            if number >= 0:  # the first is for imports, connections and caches
                for name, figure in figures.items():
                    rounds[name].append(figure)
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
        schema=judgement_schema(),
        max_tokens=400,
        about=(pair.id,),
    )


async def _alone(settings: ServiceSettings, number: int) -> float:
    """CPU milliseconds a call through pydantic-ai and the SDK."""
    import httpx2

    from llamaduo.service.providers import send

    async with httpx2.AsyncClient(limits=httpx2.Limits(max_connections=IN_FLIGHT)) as http:
        model = _model(settings, http)

        async def ask(sample: int) -> None:
            await send(model, _question(number, sample), seeded=True)

        return await _timed(ask)


async def _kept(settings: ServiceSettings, number: int, path: Path) -> float:
    """As :func:`_alone`, with the rows of each call in a new ledger at ``path``, its turns, and
    llamaduo's connections."""
    import httpx2

    certificates = httpx2.create_ssl_context()
    wires = Wires(lambda limits: httpx2.AsyncClient(limits=limits, verify=certificates), IN_FLIGHT)
    models: dict[httpx2.AsyncClient, Model] = {}

    @asynccontextmanager
    async def connection() -> AsyncIterator[Model]:
        async with wires.one() as wire:
            if wire not in models:
                models[wire] = _model(settings, wire)
            yield models[wire]

    try:
        return await _around_each(settings, number, path, connection)
    finally:
        await wires.aclose()


async def _pooled(settings: ServiceSettings, number: int, path: Path) -> float:
    """As :func:`_kept`, over one client, as :func:`_alone` has it."""
    import httpx2

    async with httpx2.AsyncClient(limits=httpx2.Limits(max_connections=IN_FLIGHT)) as http:
        model = _model(settings, http)
        return await _around_each(settings, number, path, lambda: nullcontext(model))


async def _around_each(
    settings: ServiceSettings,
    number: int,
    path: Path,
    connection: Callable[[], AbstractAsyncContextManager[Model]],
) -> float:
    from llamaduo.service.providers import send

    pacer = Pacers().of(settings, "no-key-on-loopback")
    with Ledger.open(path) as ledger:

        async def ask(sample: int) -> None:
            question = _question(number, sample)
            request = canonical_request(settings.model, question, {})
            async with (
                pacer.turn(Need(len(request) // 4, 400)) as turn,
                ledger.attempt(
                    request_key(request), stage="judge", model=settings.model, request=request,
                    most_usd=0.01, budget_usd=None, pairs=question.about,
                ) as attempt,
            ):  # fmt: skip
                async with connection() as model:
                    reply = await send(model, question, seeded=True)
                turn.heard(RAW.status, {"content-type": RAW.content_type}, RAW.body)
                await ledger.answer(attempt, RAW, Sent("localhost", 4096))
                used, name = reply.usage, reply.model_name or ""
                turn.settle(used.input_tokens, used.output_tokens)
                cost = Cost(name, used.input_tokens, used.output_tokens, 0.001)
                await ledger.settle(attempt, cost)

        return await _timed(ask)


def _model(settings: ServiceSettings, http: httpx2.AsyncClient) -> Model:
    from llamaduo.service.providers import build_model

    return build_model(settings, "no-key-on-loopback", http)


async def _ours(
    settings: ServiceSettings, number: int, path: Path, redactor: Redactor | None
) -> float:
    """CPU milliseconds a call through llamaduo's client, with a new ledger at ``path``."""
    with Ledger.open(path) as ledger:
        async with connect(settings, ledger, redactor=redactor) as service:

            async def ask(sample: int) -> None:
                await service.ask(_question(number, sample))

            return await _timed(ask)


async def _redacting(settings: ServiceSettings, number: int, path: Path) -> float:
    redactor = open_redactor(RedactionSettings(), path.with_suffix(".jsonl"))
    return await _ours(settings, number, path.with_suffix(".redacted.sqlite"), redactor)


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
    added = {name: _added(rounds, name) for name in rounds if name != ALONE}
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, {_processor()}",
        "python": platform.python_version(),
        "calls_a_round": CALLS,
        "in_flight": IN_FLIGHT,
        "cpu_ms_a_call": medians,
        "latency_s": LATENCY,
        "added_ms_a_call": added,
        "asked_for_ms": ASKED_MS,
        "reached": max(added[KEPT]["median"], added[POOLED]["median"]) < ASKED_MS,
        "reached_by_the_whole_client": added[OURS]["median"] < ASKED_MS,
    }
    text = json.dumps(result, indent=2) + "\n"
    Path(__file__).with_suffix(".json").write_text(text, encoding="utf-8")
    print(text)


def _added(rounds: dict[str, list[float]], name: str) -> dict[str, float]:
    """What ``name`` needed beyond pydantic-ai in the same round."""
    more = [one - alone for alone, one in zip(rounds[ALONE], rounds[name], strict=True)]
    return {
        "median": round(median(more), 3),
        "least": round(min(more), 3),
        "most": round(max(more), 3),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


if __name__ == "__main__":
    main()
