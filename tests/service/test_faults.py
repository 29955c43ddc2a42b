"""A whole judging stage against a service that misbehaves, counted by the service's own record.

Faults of the transport, 429 and 5xx cost attempts and change nothing. Faults of content are
asked again, five times in all, and what they leave is kept or named.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from llamaduo.errors import ServiceUnavailable
from llamaduo.evaluation.judge import judge
from llamaduo.evaluation.settings import JudgingSettings
from llamaduo.records import Judgements, Message, Pair, Question, Response
from llamaduo.rehearsal.connection import closed_port
from llamaduo.rehearsal.faults import FAULTS, OF_CONTENT, Fault, Plan
from llamaduo.service.calls import open_calls
from llamaduo.service.client import connect
from llamaduo.service.ledger import Ledger
from llamaduo.service.pacing.pacers import Pacers
from llamaduo.service.retry import Backoff
from llamaduo.service.settings import ServiceSettings
from llamaduo.tasks.settings import TaskSettings
from tests.evaluation.made import response
from tests.rehearsal.requests import ticket_pairs
from tests.rehearsal.served import served

CALLS = 24
SHARE = 0.3
BACKOFF = Backoff(first=0.01, most=0.1)
"""What a 429 of these services says has nothing to do with how fast they are asked, so that no
pace is learned from it either."""
PROVIDERS = {"openai-chat": "/v1", "openai": "/v1", "anthropic": "", "google": ""}
"""Each with what its SDK wants at the end of the address."""


@dataclass(slots=True, repr=False)
class Stage:
    """What came of one stage: its records, and what service and ledger say of it."""

    judgements: Judgements = field(default_factory=lambda: Judgements(scored=(), unscored=()))
    asked: list[dict[str, Any]] = field(default_factory=list)
    delivered: list[dict[str, Any]] = field(default_factory=list)
    attempts: int = 0
    timeouts: int = 0

    @property
    def items(self) -> set[tuple[str, int]]:
        scored = {(one.response_id, one.index) for one in self.judgements.scored}
        return scored | {(one.response_id, one.index) for one in self.judgements.unscored}


@cache
def material(count: int) -> tuple[list[Pair], list[Response]]:
    pairs = [replace(p, id=f"p{n}") for n, p in enumerate(ticket_pairs(count // 4, seed=3))]
    texts = ("billing, high", "")
    return pairs, [response(p, i, text) for p in pairs for i, text in enumerate(texts)]


async def stage(
    folder: Path, plan: Plan, *, calls: int = CALLS, provider: str = "openai-chat", **more: Any
) -> Stage:
    """Get ``calls`` judgements from a service that acts by ``plan``: two of each response."""
    found, record, path = Stage(), folder / "asked.jsonl", folder / "ledger.sqlite"
    pairs, responses = material(calls)
    with served(record, plan) as url, Ledger.open(path) as ledger:
        settings = ServiceSettings(
            model=f"{provider}:m",
            base_url=url.removesuffix("/v1") + PROVIDERS[provider],
            concurrency=32,
            **more,
        )
        async with connect(
            settings, ledger, backoff=BACKOFF, pacers=Pacers(BACKOFF, learns=False)
        ) as service:
            once = JudgingSettings(judgements_per_response=2)
            found.judgements = await judge(responses, pairs, [service], once, TaskSettings())
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    found.asked = [line for line in lines if line["event"] in ("asked", "refused")]
    found.delivered = [line for line in lines if line["event"] == "delivered"]
    with open_calls(path) as stored:
        found.attempts = len(stored)
        found.timeouts = sum("Timeout" in (row.error or "") for row in stored)
    return found


def plan_of(*faults: Fault, seed: int = 1) -> Plan:
    shares = {fault: SHARE / len(faults) for fault in faults}
    return Plan(shares=shares, seed=seed, retry_after=0.02, drip=0.02)


def timeout(fault: Fault) -> float:
    """Long enough for a busy machine, short where it is the timeout that is to be met."""
    return 1.2 if fault in ("hang", "drip") else 30.0


TRANSPORT = [fault for fault in FAULTS if fault not in OF_CONTENT]
CONTENT = [fault for fault in FAULTS if fault in OF_CONTENT]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return asyncio.run(stage(tmp_path_factory.mktemp("undisturbed"), Plan()))


def check_accounts(found: Stage) -> None:
    """What the client says it sent is what the service says it was asked. On a machine that is
    too busy, the client may have given up before the service read what it sent."""
    dealt = sum(line.get("fault") in ("hang", "drip") for line in found.asked)
    assert 0 <= found.attempts - len(found.asked) <= max(0, found.timeouts - dealt)


def check_kept_or_named(found: Stage, whole: Stage) -> None:
    assert found.items == whole.items
    assert len(found.judgements.scored) + len(found.judgements.unscored) == len(whole.items)
    for lost in found.judgements.unscored:
        assert lost.reason
        assert lost.call


@pytest.mark.parametrize("fault", TRANSPORT)
async def test_faults_of_transport_leave_the_same_records(
    tmp_path: Path, undisturbed: Stage, fault: Fault
) -> None:
    found = await stage(tmp_path, plan_of(fault), timeout_seconds=timeout(fault))
    assert found.judgements == undisturbed.judgements
    assert len(found.asked) > len(undisturbed.asked)
    check_accounts(found)


@pytest.mark.parametrize("fault", CONTENT)
async def test_faults_of_content_leave_every_item_kept_or_named(
    tmp_path: Path, undisturbed: Stage, fault: Fault
) -> None:
    found = await stage(tmp_path, plan_of(fault))
    check_kept_or_named(found, undisturbed)
    assert len(found.asked) > len(undisturbed.asked)
    assert all(line["paid"] for line in found.delivered)
    check_accounts(found)


async def test_all_faults_together(tmp_path: Path, undisturbed: Stage) -> None:
    found = await stage(tmp_path, plan_of(*FAULTS), timeout_seconds=1.2)
    check_kept_or_named(found, undisturbed)
    check_accounts(found)


@pytest.mark.parametrize("provider", ["openai", "anthropic", "google"])
async def test_all_faults_in_the_other_dialects(tmp_path: Path, provider: str) -> None:
    (tmp_path / "whole").mkdir()
    whole = await stage(tmp_path / "whole", Plan(), calls=12, provider=provider)
    found = await stage(
        tmp_path, plan_of(*FAULTS, seed=4), calls=12, provider=provider, timeout_seconds=1.2
    )
    assert {line["dialect"] for line in whole.delivered} == {provider}
    check_kept_or_named(found, whole)
    check_accounts(found)


@pytest.mark.parametrize("fault", ["truncated", "invalid"])
async def test_what_never_becomes_of_use_is_set_aside_after_five_attempts(
    tmp_path: Path, fault: Fault
) -> None:
    """At the largest share there is, hardly a question gets its answer in five attempts."""
    found = await stage(tmp_path, Plan(shares={fault: 0.95}, seed=2), calls=8)
    assert len(found.judgements.unscored) >= 4
    most = len(found.items) * 5
    assert most / 2 < len(found.asked) <= most
    check_accounts(found)


async def test_a_closed_port_ends_the_stage_at_its_deadline(tmp_path: Path) -> None:
    pairs, responses = material(4)
    with closed_port() as port, Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        settings = ServiceSettings(
            model="openai-chat:m", base_url=f"http://127.0.0.1:{port}/v1", deadline_seconds=0.2
        )
        with pytest.raises(ServiceUnavailable, match=r"did not answer within 0\.2 s"):
            async with connect(
                settings, ledger, backoff=BACKOFF, pacers=Pacers(BACKOFF, learns=False)
            ) as service:
                await judge(responses, pairs, [service], JudgingSettings(), TaskSettings())


async def test_a_plain_question_survives_every_fault_of_its_transport(tmp_path: Path) -> None:
    """Nothing is said about the shape of an answer, so only the transport can be at fault."""
    ask: Callable[[int], Question] = lambda n: Question(  # noqa: E731
        stage="answer", messages=(Message("user", "hello"),), sample=n
    )
    said = []
    for plan in (Plan(), plan_of(*TRANSPORT, seed=5)):
        record = tmp_path / f"{plan.seed}.jsonl"
        with served(record, plan) as url, Ledger.open(record.with_suffix(".sqlite")) as ledger:
            settings = ServiceSettings(
                model="openai-chat:m", base_url=url, timeout_seconds=1.2, concurrency=8
            )
            async with connect(
                settings, ledger, backoff=BACKOFF, pacers=Pacers(BACKOFF, learns=False)
            ) as service:
                replies = await asyncio.gather(*(service.ask(ask(n)) for n in range(12)))
                said.append([reply.text for reply in replies])
    assert said[0] == said[1]


@pytest.mark.proof
@pytest.mark.parametrize("fault", [*FAULTS, "all"])
async def test_a_thousand_calls_with_each_fault(tmp_path: Path, fault: Any) -> None:
    """At 30 %, as in benchmarks/service/faults.py, with fewer calls."""
    (tmp_path / "whole").mkdir()
    whole = await stage(tmp_path / "whole", Plan(), calls=1000)
    faults = FAULTS if fault == "all" else (fault,)
    short = {"hang", "drip"} & set(faults)
    found = await stage(
        tmp_path, plan_of(*faults), calls=1000, timeout_seconds=3.0 if short else 60.0
    )
    check_kept_or_named(found, whole)
    check_accounts(found)
    if fault in TRANSPORT:
        assert found.judgements == whole.judgements
        late = found.timeouts - sum(line.get("fault") in ("hang", "drip") for line in found.asked)
        # 1 / 0.7 and four deviations of it; what a busy machine lets time out is not counted.
        assert len(found.asked) - max(0, late) <= 1.53 * len(whole.asked)
