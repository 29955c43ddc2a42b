"""What does each kind of fault cost, and does anything get lost over it?

    python benchmarks/service/faults.py

A judging stage of 10,000 questions goes through llamaduo's client, 64 in flight, to the rehearsal
service in a process of its own: once undisturbed, once with 30 % of each of the 13 faults, once
with all of them mixed (30 % in all). Who meets a fault follows from a seed, the request's body and
how often it came. The service's own record is the referee: it counts attempts, and the ledger must
count as many, but for those that timed out before a busy service read them. Of faults of
transport, 429 and 5xx the records must come out the same, at 1.45 attempts a call or fewer; of
faults of content every judgement must be there, or set aside by name, and every score that was
kept must be what the stored reply says, read by nothing but ``json``.

The 429s here have nothing to do with how fast the service is asked, so the pacer keeps its gate but
learns no pace from them; see ``pacing.py`` for those that do.

Two stages run side by side, on two cores; that takes some ten minutes. Writes ``faults.json`` and
``faults.md`` beside this file.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from llamaduo.evaluation.judge import judge
from llamaduo.evaluation.settings import JudgingSettings
from llamaduo.records import Judgement, Judgements, Message, Pair, Provenance, Response
from llamaduo.rehearsal.faults import FAULTS, OF_CONTENT
from llamaduo.rehearsal.process import running_rehearsal
from llamaduo.rehearsal.tasks.tickets import tickets
from llamaduo.service.calls import open_calls
from llamaduo.service.client import connect
from llamaduo.service.ledger import Ledger
from llamaduo.service.pacing.pacers import Pacers
from llamaduo.service.retry import Backoff
from llamaduo.service.settings import ServiceSettings
from llamaduo.tasks.settings import TaskSettings

HERE = Path(__file__).parent
IN_FLIGHT = 64
SHARE = 0.30
MOST_ATTEMPTS = 1.45
JUDGED = 4
"""How often each response is judged."""
SLOW = frozenset({"hang", "drip", "all, mixed"})
"""Kinds that end with the client's timeout, which is short for them."""
SHORT_SECONDS, LONG_SECONDS = 2.0, 60.0
RETRY_AFTER = 0.05
BACKOFF = Backoff(first=0.01, most=0.1)
NONE, ALL = "none", "all, mixed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What came of one stage. ``calls`` is what the undisturbed service was asked, ``late`` how
    many attempts timed out without a fault that makes them."""

    kind: str
    items: int
    calls: int
    asked: int
    ledger: int
    late: int
    paid: int
    scored: int
    unscored: int
    same: int
    wrong: int
    seconds: float
    reasons: dict[str, int]

    @property
    def attempts(self) -> float:
        return self.asked / self.calls

    @property
    def whole(self) -> bool:
        """Whether every item is kept or named."""
        return self.scored + self.unscored == self.items and sum(self.reasons.values()) == (
            self.unscored
        )

    @property
    def ok(self) -> bool:
        accounts = 0 <= self.ledger - self.asked <= max(0, self.late)
        kept = accounts and self.whole and self.wrong == 0
        if self.kind in OF_CONTENT or self.kind == ALL:
            return kept
        return kept and self.same == self.items and self.attempts <= MOST_ATTEMPTS


def material(calls: int) -> tuple[list[Pair], list[Response]]:
    """Tickets, each with a right and an empty answer."""
    rows = [row["messages"] for row in tickets(calls // (2 * JUDGED), seed=1)]
    pairs = [
        Pair(
            id=f"p{number}",
            messages=(Message("system", system["content"]), Message("user", user["content"])),
            response=right["content"],
            reference_source="human",
            provenance=Provenance(origin="coverage", source=f"tickets.jsonl:{number}"),
        )
        for number, (system, user, right) in enumerate(rows)
    ]
    texts = enumerate(("{}", ""))
    responses = [
        Response(
            id=f"{pair.id}-{i}",
            pair_id=pair.id,
            index=i,
            author="local",
            text=text.format(pair.response),
            finish="stop",
            prompt_tokens=1,
            new_tokens=1,
            seconds=0.0,
        )
        for i, text in texts
        for pair in pairs
    ]
    return pairs, responses


def options(kind: str, seed: int) -> list[str]:
    """The service's command line."""
    kinds = [] if kind == NONE else FAULTS if kind == ALL else [kind]
    shares = [part for k in kinds for part in ("--fault", f"{k}={SHARE / len(kinds):.6f}")]
    return [*shares, "--seed", str(seed), "--retry-after", str(RETRY_AFTER)]


async def run_stage(url: str, path: Path, kind: str, calls: int) -> Judgements:
    pairs, responses = material(calls)
    settings = ServiceSettings(
        model="openai-chat:m",
        base_url=url,
        concurrency=IN_FLIGHT,
        timeout_seconds=SHORT_SECONDS if kind in SLOW else LONG_SECONDS,
    )
    judging = JudgingSettings(judgements_per_response=JUDGED)
    with Ledger.open(path) as ledger:
        async with connect(
            settings, ledger, backoff=BACKOFF, pacers=Pacers(BACKOFF, learns=False)
        ) as service:
            return await judge(responses, pairs, [service], judging, TaskSettings())


def stage(kind: str, calls: int, seed: int) -> tuple[Found, dict[str, Any]]:
    """One stage in a folder of its own, and the judgements by their item."""
    with tempfile.TemporaryDirectory() as folder:
        record, path = Path(folder) / "asked.jsonl", Path(folder) / "ledger.sqlite"
        begun = time.perf_counter()
        with running_rehearsal(record, options=options(kind, seed)) as url:
            judgements = asyncio.run(run_stage(url, path, kind, calls))
        seconds = time.perf_counter() - begun
        return account(kind, calls, judgements, seconds, record, path)


def account(
    kind: str, calls: int, judgements: Judgements, seconds: float, record: Path, path: Path
) -> tuple[Found, dict[str, Any]]:
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    asked = sum(line["event"] in ("asked", "refused") for line in lines)
    slow = sum(line["event"] == "asked" and line.get("fault") in ("hang", "drip") for line in lines)
    with open_calls(path) as stored:
        rows = len(stored)
        timeouts = sum("Timeout" in (row.error or "") for row in stored)
        texts = {row.key: row.reply for row in stored if row.state == "answered"}
    scored = {f"{j.response_id}/{j.index}": j for j in judgements.scored}
    items = {*scored, *(f"{u.response_id}/{u.index}" for u in judgements.unscored)}
    found = Found(
        kind=kind,
        items=calls,
        calls=asked,
        asked=asked,
        ledger=rows,
        late=timeouts - slow,
        paid=sum(line["event"] == "delivered" and line["paid"] for line in lines),
        scored=len(scored),
        unscored=len(items) - len(scored),
        same=0,
        wrong=sum(scores(texts[j.call]) != marks_of(j) for j in scored.values()),
        seconds=seconds,
        reasons=dict(Counter(u.reason for u in judgements.unscored if u.reason and u.call)),
    )
    records = {item: asdict(j) for item, j in scored.items()}
    return found, records | {f"{u.response_id}/{u.index}": asdict(u) for u in judgements.unscored}


def marks_of(judgement: Judgement) -> tuple[int, int]:
    return judgement.marks["similarity"].score, judgement.marks["precision"].score


def scores(reply: bytes | None) -> tuple[int, int]:
    """What a stored reply says, read by nothing but json."""
    value = json.loads(json.loads(reply or b"")["choices"][0]["message"]["content"])
    return value["similarity"]["score"], value["precision"]["score"]


def measure(options: argparse.Namespace) -> list[Found]:
    """All kinds, ``options.beside`` at a time, each compared with the undisturbed stage."""
    found: list[Found] = []
    with ProcessPoolExecutor(options.beside, mp_context=get_context("spawn")) as pool:
        plain = pool.submit(stage, NONE, options.calls, 0)
        jobs = [
            pool.submit(stage, kind, options.calls, seed)
            for seed, kind in enumerate((*FAULTS, ALL), start=1)
        ]
        whole, records = plain.result()
        found.append(whole)
        for job in jobs:
            one, got = job.result()
            same = sum(records[item] == got.get(item) for item in records)
            found.append(replace(one, calls=whole.asked, same=same))
            print(row(found[-1]), flush=True)
    return found


HEAD = (
    "| fault | judgements | attempts a call | in the ledger | paid | the same record | set aside"
    " | wrong | seconds | |"
)


def row(found: Found) -> str:
    return (
        f"| {found.kind} | {found.items:,} | {found.attempts:.3f} | "
        f"{'the same' if found.ledger == found.asked else f'{found.ledger - found.asked:+,}'}"
        f" | {found.paid:,} | {found.same:,} | {found.unscored:,} | {found.wrong:,}"
        f" | {found.seconds:.0f} | {'ok' if found.ok else 'MISSED'} |"
    )


def as_table(results: dict[str, Any], found: list[Found]) -> str:
    whole = found[0]
    load = (
        f"{results['in flight']} calls in flight, {results['share']:.0%} of requests with a fault"
    )
    undisturbed = (
        f"The undisturbed service was asked {whole.asked:,} times for {whole.items:,} judgements"
        " (1 % of its replies are malformed on purpose, and repaired). Attempts and payments are"
        " counted by the service. 1 / (1 - 30 %) is 1.429."
    )
    lines = [
        "# Faults",
        "",
        f"{load}; {results['machine']}; {results['date']}.",
        undisturbed,
        "",
        HEAD,
        "| --- |" + " --- |" * 9,
        *(row(one) for one in found[1:]),
        "",
        "Set aside, with their reasons:",
        "",
    ]
    for one in found[1:]:
        said = "; ".join(f"{count} × {reason}" for reason, count in one.reasons.items())
        lines += [f"* {one.kind}: {said}"] if said else []
    return "\n".join(lines) + "\n"


def machine() -> str:
    with Path("/proc/cpuinfo").open() as file:
        name = next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    cores = len(os.sched_getaffinity(0))
    return f"{name}, {cores} cores, {platform.system()}, Python {platform.python_version()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--calls", type=int, default=10_000, help="judgements for each fault")
    parser.add_argument("--beside", type=int, default=2, help="stages at a time")
    parser.add_argument("--into", type=Path, default=HERE / "faults.json")
    options = parser.parse_args()
    begun = time.perf_counter()
    found = measure(options)
    results = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "in flight": IN_FLIGHT,
        "share": SHARE,
        "timeout_seconds": dict.fromkeys(sorted(SLOW), SHORT_SECONDS) | {"else": LONG_SECONDS},
        "retry_after": RETRY_AFTER,
        "backoff": asdict(BACKOFF),
        "seconds": round(time.perf_counter() - begun),
        "faults": [
            asdict(one) | {"attempts a call": round(one.attempts, 4), "ok": one.ok} for one in found
        ],
    }
    options.into.write_text(json.dumps(results, indent=2) + "\n")
    options.into.with_suffix(".md").write_text(as_table(results, found))
    print(as_table(results, found))
    sys.exit(0 if all(one.ok for one in found[1:]) else 1)


if __name__ == "__main__":
    main()
