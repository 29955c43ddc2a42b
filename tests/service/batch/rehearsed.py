"""The rehearsal service's batch APIs in this process, on a real socket, and clients of them."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from llamaduo.records import Event, Message, Question, Reply
from llamaduo.rehearsal.__main__ import server_of
from llamaduo.rehearsal.app import rehearsal_app
from llamaduo.rehearsal.batches.plan import BatchPlan
from llamaduo.rehearsal.record import Record
from llamaduo.service.client import connect
from llamaduo.service.ledger import Ledger, SpendRow
from llamaduo.service.protocol import ServiceLLM
from llamaduo.service.retry import Backoff
from llamaduo.service.settings import BatchSettings, Price, ServiceSettings
from llamaduo.storage.journal import read_rows

PROVIDERS = ("openai:m", "anthropic:m", "google:m")
AT_ONCE = Backoff(first=0.001, most=0.001)


@dataclass(frozen=True)
class Rehearsed:
    """A running service: its address, and its own record of what it did."""

    address: str
    record: Path

    def lines(self, event: str) -> list[dict[str, Any]]:
        if not self.record.exists():
            return []
        whole = self.record.read_text().splitlines(keepends=True)
        lines = [json.loads(line) for line in whole if line.endswith("\n")]  # not one under way
        return [line for line in lines if line["event"] == event]

    def bought(self) -> Counter[str]:
        """How often each request was paid for."""
        return Counter(line["sha256"] for line in self.lines("delivered") if line["paid"])

    def batches(self) -> list[int]:
        """The sizes of the batches that were made."""
        return [line["requests"] for line in self.lines("batch")]

    def settings(self, model: str, **fields: Any) -> ServiceSettings:
        base = f"{self.address}/v1" if model.startswith("openai") else self.address
        batch = {"smallest": 3, "poll_seconds": 0.05, "gather_seconds": 0.08} | fields.pop(
            "batch", {}
        )
        chosen: dict[str, Any] = {
            "mode": "batch", "batch": BatchSettings(**batch), "price": Price(input=1, output=2),
        }  # fmt: skip
        return ServiceSettings(model=model, base_url=base, **(chosen | fields))


@contextmanager
def rehearsing(folder: Path, **plan: Any) -> Iterator[Rehearsed]:
    """The service with a plan for its batches, for as long as the block lasts."""
    path = folder / "record.jsonl"
    record = Record(path)
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        server = server_of(rehearsal_app(record, batches=BatchPlan(**plan)))
        thread = threading.Thread(target=_run, args=(server, listener))
        thread.start()
        try:
            yield Rehearsed(f"http://127.0.0.1:{listener.getsockname()[1]}", path)
        finally:
            server.should_exit = server.force_exit = True
            thread.join()
            record.close()


def _run(server: uvicorn.Server, listener: Any) -> None:
    asyncio.run(server.serve(sockets=[listener]))


@dataclass(frozen=True)
class Life:
    """One life of a run: its client, and what it was told."""

    client: ServiceLLM
    ledger: Ledger
    events: list[Event]

    def told(self, unit: str) -> list[str]:
        return [event.detail for event in self.events if event.unit == unit]


@asynccontextmanager
async def living(
    folder: Path, settings: ServiceSettings, budget_usd: float | None = None
) -> AsyncIterator[Life]:
    """A life on the ledger in ``folder``; leaving the block ends it, whatever is under way."""
    events: list[Event] = []
    with Ledger.open(folder / "ledger.sqlite", events.append) as ledger:
        async with connect(settings, ledger, budget_usd=budget_usd, backoff=AT_ONCE) as client:
            yield Life(client, ledger, events)


def question(n: int, **fields: Any) -> Question:
    return Question(stage="judge", messages=(Message("user", f"Question {n}?"),), **fields)


async def ask(life: Life, count: int, first: int = 0) -> list[Reply]:
    """Ask that many questions side by side."""
    return await asyncio.gather(
        *(life.client.ask(question(n)) for n in range(first, first + count))
    )


async def ask_until(life: Life, count: int, ready: Callable[[], Any]) -> None:
    """Ask, and stop asking when ``ready``: what is under way is left where it is."""
    asking = asyncio.create_task(ask(life, count))
    await until(lambda: ready() or asking.done())
    assert not asking.done(), asking
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)


async def until(ready: Callable[[], Any]) -> None:
    """Wait for what only a look can tell."""
    async with asyncio.timeout(30):
        while not ready():  # noqa: ASYNC110 - a file of another process, or the service's record
            await asyncio.sleep(0.01)


def rows(folder: Path, sql: str) -> list[Any]:
    return read_rows(folder / "ledger.sqlite", sql)


def spent(life: Life) -> SpendRow:
    (row,) = life.ledger.spend()
    return row
