"""The hard cap, by the service's own record: what it charges never passes the budget, whatever
becomes of the calls and however often the process dies."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamaduo.errors import BudgetExceeded
from llamaduo.service.ledger import Attempt, Cost, Ledger, RawReply
from llamaduo.service.pricing import most_usd, usd
from llamaduo.service.settings import Price, ServiceSettings
from tests.canary import CANARY
from tests.service.loopback import Answer, Hang, Reset, says
from tests.service.test_client import HTML, connected, question

RAW = RawReply(200, "application/json", b"{}")
FATES = ("settled", "settled", "unread", "unmeasured", "useless", "refused", "lost")
MODELS = ("openai-chat:a", "openai-chat:b")


@dataclass
class Charging:
    """A service that charges for a call when it comes, whatever becomes of the reply."""

    draw: Random
    charged: float = 0.0
    fates: Counter[str] = field(default_factory=Counter)

    async def call(self, ledger: Ledger, key: str, most: float, budget: float) -> None:
        """One attempt at ``key``: it costs up to ``most``, unless it is refused."""
        model = self.draw.choice(MODELS)
        async with ledger.attempt(
            key,
            stage="judge",
            model=model,
            request="{}",
            most_usd=most,
            budget_usd=budget,
            trusted=self.draw.choice([False, True]),
        ) as attempt:
            fate = self.draw.choice(FATES)
            self.fates[fate] += 1
            cost = 0.0 if fate == "refused" else most * self.draw.choice([0.1, 0.5, 1.0])
            self.charged += cost
            for _ in range(self.draw.randint(0, 3)):
                await asyncio.sleep(0)
            await _ends(ledger, attempt, fate, cost)


async def _ends(ledger: Ledger, attempt: Attempt, fate: str, cost: float) -> None:
    if fate == "refused":
        await ledger.fail(attempt, "HTTP 503", charged=False)
    elif fate == "useless":
        await ledger.answer(attempt, RAW)
        await ledger.fail(attempt, "no reply", charged=True)
    elif fate != "lost":
        await ledger.answer(attempt, RAW)
        if fate == "settled":
            await ledger.settle(attempt, Cost("m", 10, 10, cost))
        elif fate == "unmeasured":
            await ledger.settle(attempt, Cost("m", 0, 0, None, measured=False))


@settings(max_examples=20)
@given(
    budget=st.floats(0.0, 12.0),
    lives=st.lists(
        st.tuples(
            st.lists(st.floats(0.1, 2.0), min_size=1, max_size=12),  # the most each call can cost
            st.integers(0, 40),  # turns of the event loop until the process dies
        ),
        min_size=1,
        max_size=3,
    ),
    seed=st.integers(0, 99),
)
def test_what_the_service_charges_never_passes_the_budget(
    budget: float, lives: list[tuple[list[float], int]], seed: int
) -> None:
    service = Charging(Random(seed))

    async def life(path: Path, number: int, most: list[float], turns: int) -> None:
        with Ledger.open(path) as ledger:
            calls = [
                asyncio.create_task(service.call(ledger, f"{number}-{n}", one, budget))
                for n, one in enumerate(most)
            ]
            for _ in range(turns):
                await asyncio.sleep(0)
            for call in calls:  # the process dies: what is not written by now never will be
                call.cancel()
            for end in await asyncio.gather(*calls, return_exceptions=True):
                assert end is None or isinstance(end, BudgetExceeded | asyncio.CancelledError)
            assert service.charged <= budget + 1e-9

    with TemporaryDirectory() as folder:
        for number, (most, turns) in enumerate(lives):
            asyncio.run(life(Path(folder, "ledger.sqlite"), number, most, turns))


# --- through the client ---------------------------------------------------------------------

PRICE = Price(input=0.0, output=100.0)


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)


async def test_every_fault_together_stays_within_the_budget(tmp_path: Path) -> None:
    """Calls of up to $0.01. The service charges $0.002 for every reply, of use or not; what was
    reset or never answered may have been charged in full."""
    script = [says("ok"), HTML, Reset, says("ok"), Answer(503), HTML, Hang, says("ok")] * 8
    budget, charged = 0.2, 0.0
    for life in range(3):
        ahead: dict[str, Any] = {"price": PRICE, "budget_usd": budget, "timeout_seconds": 0.05}
        async with connected(tmp_path, *script, **ahead, deadline_seconds=2) as (
            client,
            _,
            service,
        ):
            asked = [client.ask(question(max_tokens=100, sample=20 * life + n)) for n in range(20)]
            ends = await asyncio.gather(*asked, return_exceptions=True)
            sent = script[: len(service.bodies)]
            charged += sum(_charge(step) for step in sent)
        assert charged <= budget
    assert any(isinstance(end, BudgetExceeded) for end in ends)


def _charge(step: object) -> float:
    if step in (Reset, Hang):
        return 0.01
    return 0.002 if isinstance(step, Answer) and step.status == 200 else 0.0


async def test_a_reply_that_does_not_say_what_it_used_keeps_what_was_held(tmp_path: Path) -> None:
    silent = says("ok")
    silent = Answer(body=silent.body.replace(b'"usage"', b'"other"'))
    ahead: dict[str, Any] = {"price": PRICE, "budget_usd": 0.025}
    async with connected(tmp_path, *[silent] * 9, **ahead) as (client, ledger, service):
        reply = await client.ask(question(max_tokens=100))
        assert (reply.text, reply.input_tokens, reply.usd) == ("ok", 0, 0.0)
        await client.ask(question(max_tokens=100, sample=1))
        with pytest.raises(BudgetExceeded, match=r"with \$0\.02.* spent or in doubt"):
            await client.ask(question(max_tokens=100, sample=2))
        assert len(service.bodies) == 2
        assert not ledger.spend()[0].priced


async def test_replies_longer_than_asked_for_are_held_for_from_then_on(tmp_path: Path) -> None:
    """The service ignores a limit of 10 tokens and writes 20: $0.002 instead of $0.001."""
    ahead: dict[str, Any] = {"price": PRICE, "budget_usd": 0.0125, "concurrency": 40}
    async with connected(tmp_path, **ahead) as (client, _, service):
        asked = [client.ask(question(max_tokens=10, sample=n)) for n in range(40)]
        ends = await asyncio.gather(*asked, return_exceptions=True)
        assert len(service.bodies) == 6
        assert sum(isinstance(end, BudgetExceeded) for end in ends) == 34


def test_a_hold_is_for_the_whole_reply_and_every_byte_of_the_request() -> None:
    chosen = ServiceSettings(model="openai-chat:gpt-4o")
    assert most_usd(chosen, 4000, 4096) == pytest.approx(usd(chosen, 4000, 4096))
