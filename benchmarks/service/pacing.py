"""How much of a rate limit is used, and how many attempts are refused? On virtual time.

    python benchmarks/service/pacing.py

The provider's limiters are those of the rehearsal service; ours is the pacer that every paid call
goes through, driven by an event loop whose clock skips what is waited for. Beside it, in the same
run and against the same limiters: what the providers' SDKs do by default (two retries), and a
semaphore around calls that are retried until they pass. Each case is 15 minutes of unbroken
demand. Writes ``pacing.json`` and ``pacing.md`` beside this file; about three minutes.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import platform
import random
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from llamaduo.rehearsal import virtual_time
from llamaduo.rehearsal.limits import (
    Admission,
    AnthropicLimiter,
    Asked,
    GeminiLimiter,
    Limiter,
    OpenAILimiter,
)
from llamaduo.service.pacing.pacer import GateShut, Pacer
from llamaduo.service.pacing.sizes import Need
from llamaduo.service.retry import Backoff

HERE = Path(__file__).parent
MINUTES = 15
WORKERS = 64
MAX_TOKENS = 512
DEADLINE = 1800.0
Make = Callable[[Mapping[str, int], Callable[[], float]], Limiter]


# --- calls --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Job:
    """A call: what it reads and writes, what we think it reads, and how long it takes."""

    read: int
    written: int
    guess: int
    seconds: float


def draw_job(draw: random.Random) -> Job:
    """Judging and synthesis: 900 tokens in, 220 out, 60 tokens a second; sizes vary widely."""
    read = max(50, round(draw.lognormvariate(math.log(750), 0.6)))
    written = min(MAX_TOKENS, max(10, round(draw.lognormvariate(math.log(190), 0.5))))
    seconds = 0.4 + written / 60.0 * draw.lognormvariate(0.0, 0.3)
    return Job(read, written, round(read * draw.uniform(0.85, 1.15)), seconds)


@dataclass(slots=True)
class Provider:
    """A simulated provider that keeps account of what it answered. ``mute`` hides its headers."""

    limiter: Limiter
    draw: random.Random
    mute: bool = False
    began: float = 0.0
    log: list[tuple[float, bool, int, int]] = field(default_factory=list)
    given_up: int = 0

    async def send(self, job: Job) -> Admission:
        """One attempt: the way there, and if it is answered the whole reply."""
        await asyncio.sleep(self.draw.uniform(0.02, 0.12))
        answer = self.limiter.admit(Asked(job.read, MAX_TOKENS))
        self.log.append((clock() - self.began, answer.allowed, job.read, job.written))
        if answer.allowed:
            for _ in range(4):  # output counts as it is written
                await asyncio.sleep(job.seconds / 4)
                self.limiter.delivered(job.written // 4)
        await asyncio.sleep(self.draw.uniform(0.02, 0.12))
        return Admission(answer.allowed, {}, answer.status, b"") if self.mute else answer


def clock() -> float:
    return asyncio.get_running_loop().time()


# --- clients ------------------------------------------------------------------------------

Call = Callable[[Job], Coroutine[Any, Any, bool]]


def sdk_default(provider: Provider, draw: random.Random) -> Call:
    """Two retries after 0.5 to 8 s with jitter, or after Retry-After where that is within a
    minute, as the OpenAI and Anthropic SDKs do."""

    async def call(job: Job) -> bool:
        for attempt in range(3):
            answer = await provider.send(job)
            if answer.allowed:
                return True
            asked = float(answer.headers.get("retry-after-ms", 0)) / 1000 or float(
                answer.headers.get("retry-after", 0)
            )
            backoff = min(0.5 * 2.0**attempt, 8.0) * draw.uniform(0.75, 1.0)
            if attempt < 2:
                await asyncio.sleep(asked if 0 < asked <= 60 else backoff)
        return False

    return call


def semaphore(places: int, provider: Provider, draw: random.Random) -> Call:
    """So many in flight; each retried until it passes, after Retry-After and a growing backoff."""
    free, backoff = asyncio.Semaphore(places), Backoff()

    async def call(job: Job) -> bool:
        async with free:
            for failed in range(1, 10_000):
                answer = await provider.send(job)
                if answer.allowed:
                    return True
                asked = float(answer.headers.get("retry-after", 0))
                await asyncio.sleep(backoff.seconds(failed, asked, draw))
        return False

    return call


def paced(pacer: Pacer, provider: Provider, _: random.Random) -> Call:
    """Ours, as the client does it: a refused call goes back through the pacer."""

    async def call(job: Job) -> bool:
        used = 0.0
        while True:
            try:
                async with pacer.turn(Need(job.guess, MAX_TOKENS), DEADLINE - used) as turn:
                    answer = await provider.send(job)
                    turn.heard(answer.status, answer.headers, answer.body)
                    if answer.allowed:
                        turn.settle(job.read, job.written)
                        return True
                    used += turn.closed_seconds
            except GateShut:
                return False

    return call


# --- one case -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Case:
    """A limiter with its limits a minute, one of which binds; ``changes``: minute → limits."""

    provider: str
    binds: str
    limits: Mapping[str, int]
    make: Make
    by_the_minute: bool = False
    changes: Mapping[int, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Shares of the binding limit that were used, and of attempts that were refused.

    ``used`` leaves out the first minute, in which a full bucket gives more than the limit;
    ``used_by_minute`` has every one. ``refused_learning`` is of the first five minutes.
    """

    provider: str
    binds: str
    client: str
    used: float
    refused: float
    refused_learning: float
    refused_later: float
    attempts: int
    given_up: int
    used_by_minute: tuple[float, ...]
    answered_by_minute: tuple[int, ...]


async def drive(provider: Provider, call: Call, seed: int) -> None:
    """Unbroken demand: as soon as a worker is done with one call it has another."""
    draw = random.Random(seed)

    async def work() -> None:
        while True:
            if not await call(draw_job(draw)):
                provider.given_up += 1

    tasks = [asyncio.create_task(work()) for _ in range(WORKERS)]
    await asyncio.wait(tasks, timeout=MINUTES * 60.0)
    for task in tasks:
        task.cancel()
    for failure in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(failure, asyncio.CancelledError), failure


def measure(case: Case, client: str, make: Callable[..., Call], *, mute: bool = False) -> Outcome:
    async def main() -> Provider:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, virtual_time.VirtualTimeLoop)
        limiter = case.make(case.limits, loop.wall)
        provider = Provider(limiter, random.Random(7), mute, loop.time())
        for minute, limits in case.changes.items():
            loop.call_later(minute * 60.0, limiter.change, limits)
        await drive(provider, make(provider, random.Random(8)), seed=9)
        return provider

    return account(case, client, virtual_time.run(main()))


def account(case: Case, client: str, provider: Provider) -> Outcome:
    minutes = [[0.0, 0, 0] for _ in range(MINUTES)]
    for at, allowed, read, written in provider.log:
        spell = minutes[min(MINUTES - 1, int(at // 60))]
        spell[0] += allowed * charged(case.binds, read, written)
        spell[1] += not allowed
        spell[2] += 1
    used = [spell[0] / limit_at(case, minute) for minute, spell in enumerate(minutes)]
    refused = [spell[1] for spell in minutes]
    attempts = [spell[2] for spell in minutes]
    return Outcome(
        provider=case.provider,
        binds=case.binds,
        client=client,
        used=sum(used[1:]) / len(used[1:]),
        refused=sum(refused) / max(1, sum(attempts)),
        refused_learning=sum(refused[:5]) / max(1, sum(attempts[:5])),
        refused_later=sum(refused[5:]) / max(1, sum(attempts[5:])),
        attempts=int(sum(attempts)),
        given_up=provider.given_up,
        used_by_minute=tuple(round(share, 3) for share in used),
        answered_by_minute=tuple(int(spell[2] - spell[1]) for spell in minutes),
    )


def charged(binds: str, read: int, written: int) -> float:
    amounts = {"input_tokens": read, "output_tokens": written, "tokens": read + MAX_TOKENS}
    return float(amounts.get(binds, 1))


def limit_at(case: Case, minute: int) -> int:
    limit = case.limits[case.binds]
    for change, limits in case.changes.items():
        limit = limits.get(case.binds, limit) if minute >= change else limit
    return limit


def ours(
    case: Case, *, known: bool, eager: bool = False
) -> Callable[[Provider, random.Random], Call]:
    def make(provider: Provider, draw: random.Random) -> Call:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, virtual_time.VirtualTimeLoop)
        pacer = Pacer(
            case.limits if known else None,  # type: ignore[arg-type]
            by_the_minute=case.by_the_minute,
            eager=eager,
            draw=random.Random(10),
            wall=lambda: datetime.fromtimestamp(loop.wall(), UTC),
        )
        return paced(pacer, provider, draw)

    return make


# --- the cases ----------------------------------------------------------------------------

QUIET = partial(GeminiLimiter, says="nothing")
FIXED = partial(GeminiLimiter, window="fixed")
OPENAI = {"requests": 500, "tokens": 2_000_000}
OPENAI_TOKENS = {"requests": 5_000, "tokens": 400_000}
CLAUDE_INPUT = {"requests": 1_000, "input_tokens": 200_000, "output_tokens": 400_000}
CLAUDE_OUTPUT = {"requests": 1_000, "input_tokens": 1_000_000, "output_tokens": 60_000}
GEMINI = {"requests": 300, "input_tokens": 4_000_000}
GEMINI_INPUT = {"requests": 5_000, "input_tokens": 250_000}

CASES = (
    Case("OpenAI-like", "requests", OPENAI, OpenAILimiter),
    Case("OpenAI-like", "tokens", OPENAI_TOKENS, OpenAILimiter),
    Case("OpenAI-like, no bursts", "requests", OPENAI, partial(OpenAILimiter, seconds=2.0)),
    Case("Anthropic-like", "requests", {**CLAUDE_INPUT, "requests": 100}, AnthropicLimiter),
    Case("Anthropic-like", "input_tokens", CLAUDE_INPUT, AnthropicLimiter),
    Case("Anthropic-like", "output_tokens", CLAUDE_OUTPUT, AnthropicLimiter),
    Case("Gemini-like", "requests", GEMINI, GeminiLimiter, True),
    Case("Gemini-like", "input_tokens", GEMINI_INPUT, GeminiLimiter, True),
    Case("Gemini-like, fixed minutes", "requests", GEMINI, FIXED, True),
)
UNKNOWN = (
    Case("OpenAI-like, mute", "requests", OPENAI, OpenAILimiter),
    Case("OpenAI-like, mute", "tokens", OPENAI_TOKENS, OpenAILimiter),
    Case("Anthropic-like, mute", "input_tokens", CLAUDE_INPUT, AnthropicLimiter),
    Case("Anthropic-like, mute", "output_tokens", CLAUDE_OUTPUT, AnthropicLimiter),
    Case("Gemini-like, mute", "requests", GEMINI, QUIET, True),
    Case("Gemini-like, mute", "requests", {**GEMINI, "requests": 10}, QUIET, True),
    Case("Gemini-like, mute", "input_tokens", GEMINI_INPUT, QUIET, True),
    Case("Gemini-like, fixed minutes, mute", "requests", GEMINI, partial(FIXED, says="nothing"),
         True),
)  # fmt: skip
CHANGED = (
    Case("OpenAI-like", "requests", OPENAI, OpenAILimiter,
         changes={5: {"requests": 200}, 10: {"requests": 500}}),
    Case("Anthropic-like", "input_tokens", CLAUDE_INPUT, AnthropicLimiter,
         changes={5: {"input_tokens": 80_000}, 10: {"input_tokens": 200_000}}),
    Case("Gemini-like", "requests", GEMINI, GeminiLimiter, True,
         changes={5: {"requests": 120}}),
)  # fmt: skip


# --- refusals by chance -------------------------------------------------------------------

SHARES = (0.0, 0.001, 0.01, 0.05, 0.3)
NEVER = 1_000_000_000


class ByChance:
    """No limit at all, or that of ``limiter``: so many are refused, however slowly they come."""

    def __init__(self, limiter: Limiter, share: float) -> None:
        self._limiter, self._share, self._draw = limiter, share, random.Random(4)
        self.delivered, self.change = limiter.delivered, limiter.change

    def admit(self, asked: Asked) -> Admission:
        if self._draw.random() < self._share:
            return Admission(False, {}, 429)
        return self._limiter.admit(asked)


def chance_cases() -> list[tuple[Case, str, Callable[[Provider, random.Random], Call]]]:
    """Each with the name of the client and the client. Without a limit, what is possible is
    whatever 64 workers manage."""
    found = []
    for share in SHARES:

        def make(limits: Mapping[str, int], now: Callable[[], float], s: float = share) -> Limiter:
            return ByChance(OpenAILimiter(limits, now), s)

        endless = Case(f"{share:.1%} by chance, no limit", "requests", {"requests": NEVER}, make)
        known = Case(f"{share:.1%} by chance", "requests", OPENAI, make)
        found += [
            (endless, "paced, a server of one's own", ours(endless, known=False, eager=True)),
            (endless, "paced, learning", ours(endless, known=False)),
            (known, "paced, limits configured", ours(known, known=True)),
        ]
    return found


def outcomes() -> list[tuple[str, Outcome]]:
    found = []
    for case in CASES:
        for name, make in (
            ("SDK default, 64 workers", sdk_default),
            ("semaphore of 8", partial(semaphore, 8)),
            ("semaphore of 64", partial(semaphore, 64)),
            ("paced, limits configured", ours(case, known=True)),
            ("paced, limits announced", ours(case, known=False)),
        ):
            found.append(("known", measure(case, name, make)))
            show(found[-1][1])
    for case in UNKNOWN:
        found.append(
            ("learned", measure(case, "paced, learning", ours(case, known=False), mute=True))
        )
        show(found[-1][1])
    for case in CHANGED:
        found.append(("changed", measure(case, "paced, announced", ours(case, known=False))))
        show(found[-1][1])
    for case, name, make in chance_cases():
        found.append(("chance", measure(case, name, make, mute=True)))
        show(found[-1][1])
    return found


# --- the table ----------------------------------------------------------------------------


def show(outcome: Outcome) -> None:
    print(row(outcome), outcome.used_by_minute, flush=True)


def row(o: Outcome) -> str:
    cells = (o.provider, o.binds.replace("_", " "), o.client, f"{o.used:.1%}", f"{o.refused:.2%}",
             f"{o.attempts:,}", f"{o.given_up:,}")  # fmt: skip
    return f"| {' | '.join(cells)} |"


def learned_row(o: Outcome) -> str:
    later = sum(o.used_by_minute[5:]) / len(o.used_by_minute[5:])
    cells = (o.provider, o.binds.replace("_", " "), f"{o.refused_learning:.2%}",
             f"{o.refused_later:.2%}", f"{sum(o.used_by_minute[1:5]) / 4:.1%}", f"{later:.1%}",
             f"{o.given_up:,}")  # fmt: skip
    return f"| {' | '.join(cells)} |"


def changed_row(o: Outcome) -> str:
    spells = (o.used_by_minute[1:5], o.used_by_minute[6:10], o.used_by_minute[11:])
    used = [f"{min(spell):.1%} / {sum(spell) / len(spell):.1%}" for spell in spells]
    if o.provider == "Gemini-like":  # it says that a limit was lowered, by refusing
        used[2] = "nobody says so"
    cells = (o.provider, o.binds.replace("_", " "), *used, f"{o.refused:.2%}", f"{o.given_up:,}")
    return f"| {' | '.join(cells)} |"


def chance_row(o: Outcome) -> str:
    minutes = o.answered_by_minute
    calls = (
        minutes[0],
        sum(minutes[1:5]) / 4,
        sum(minutes[5:]) / len(minutes[5:]),
        min(minutes[1:]),
    )
    cells = (o.provider, o.client, *(f"{n:,.0f}" for n in calls), f"{o.refused:.2%}",
             f"{o.given_up:,}")  # fmt: skip
    return f"| {' | '.join(cells)} |"


def table(head: str, rows: list[str]) -> str:
    return "\n".join([head, "| --- |" + " --- |" * (head.count("|") - 2), *rows]) + "\n"


def main() -> None:
    found = outcomes()
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    about = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "machine": machine}
    rows = [{"kind": kind} | asdict(outcome) for kind, outcome in found]
    (HERE / "pacing.json").write_text(json.dumps(about | {"outcomes": rows}, indent=1) + "\n")
    of = {
        kind: [o for k, o in found if k == kind]
        for kind in ("known", "learned", "changed", "chance")
    }
    text = (
        f"# Pacing\n\n{about['date']}, {machine}; time is virtual, so the machine does not matter."
        f" {MINUTES} minutes of unbroken demand each; calls of about 900 tokens in and 220 out,"
        f" a limit of {MAX_TOKENS} on the reply. What was used leaves out the first minute, in"
        " which a full bucket gives more than the limit.\n\n## Limits that are known\n\n"
        + table("| provider | binding limit | client | used | answered 429 | attempts | given up |",
                [row(o) for o in of["known"]])
        + "\n## Limits that nobody names\n\nNo headers and an empty 429: minutes 1 to 5 are"
        " learning.\n\n"
        + table("| provider | binding limit | 429 while learning | 429 later | used, minutes 2 to 5"
                " | used later | given up |", [learned_row(o) for o in of["learned"]])
        + "\n## Limits that change\n\nLowered to 40 % after five minutes, raised again after"
        " ten. The worst minute / the mean, from a minute after each change.\n\n"
        + table("| provider | binding limit | before | lowered | raised | 429 | given up |",
                [changed_row(o) for o in of["changed"]])
        + "\n## Refusals that have nothing to do with the pace\n\nCalls answered in a minute;"
        " nothing names a limit and the 429 is empty. Where limits are configured they are 500"
        " requests a minute. The worst minute leaves out the first.\n\n"
        + table("| refusals | client | minute 1 | minutes 2 to 5 | later | worst minute | 429"
                " | given up |", [chance_row(o) for o in of["chance"]])
    )  # fmt: skip
    (HERE / "pacing.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
