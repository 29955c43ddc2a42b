"""The pacer on virtual time: the line, the limits, the gate, learning, and giving back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamaduo.rehearsal import virtual_time
from llamaduo.rehearsal.limits import (
    Admission,
    AnthropicLimiter,
    Asked,
    GeminiLimiter,
    Limiter,
    OpenAILimiter,
)
from llamaduo.service.pacing.pacer import GateShut, Pacer, Turn
from llamaduo.service.pacing.sizes import Need
from llamaduo.service.retry import Backoff

ONE = Need(100, 50)
NO_JITTER = Backoff(first=0.0, most=0.0)


def now() -> float:
    return asyncio.get_running_loop().time()


def wall() -> datetime:
    return datetime.fromtimestamp(virtual_time.START + now(), UTC)


def pacer_of(rates: Mapping[Any, float] | None = None, **more: Any) -> Pacer:
    return Pacer(rates, draw=random.Random(1), wall=wall, **more)


async def take(pacer: Pacer, need: Need = ONE) -> float:
    async with pacer.turn(need):
        return now()


# --- the line -----------------------------------------------------------------------------


def test_calls_go_at_the_pace_of_the_limit() -> None:
    async def main() -> list[float]:
        pacer = pacer_of({"requests": 600})
        return [await take(pacer) for _ in range(1000)]

    went = virtual_time.run(main())
    assert went[8] == 0.0  # a second's worth at once
    assert went[-1] == pytest.approx((1000 - 9.8) / 9.8, abs=0.5)


def test_the_tightest_limit_holds() -> None:
    async def main() -> float:
        pacer = pacer_of({"requests": 600, "input_tokens": 6000, "output_tokens": 60_000})
        return [await take(pacer) for _ in range(11)][-1]

    assert virtual_time.run(main()) == pytest.approx(10 / 0.98, abs=0.1)


@settings(max_examples=30)
@given(st.lists(st.integers(1, 3000), min_size=2, max_size=30))
def test_first_come_first_served_whatever_the_sizes(sizes: list[int]) -> None:
    async def main() -> list[int]:
        pacer, went = pacer_of({"input_tokens": 6000}), []

        async def one(place: int, size: int) -> None:
            await take(pacer, Need(size, 1))
            went.append(place)

        await asyncio.gather(*(one(place, size) for place, size in enumerate(sizes)))
        return went

    assert virtual_time.run(main()) == list(range(len(sizes)))


def test_a_call_larger_than_a_minutes_limit_passes_all_the_same() -> None:
    async def main() -> float:
        pacer = pacer_of({"input_tokens": 600})
        await take(pacer, Need(1000, 1))
        return await take(pacer, Need(1, 1))

    assert virtual_time.run(main()) == pytest.approx(1000 / 9.8, abs=1.0)


def test_one_that_is_cancelled_while_it_waits_has_taken_nothing() -> None:
    async def main() -> float:
        pacer = pacer_of({"input_tokens": 6000})
        await take(pacer, Need(98, 1))
        huge = asyncio.create_task(take(pacer, Need(100_000, 1)))
        after = asyncio.create_task(take(pacer, Need(98, 1)))
        await asyncio.sleep(0.5)
        huge.cancel()
        return await after

    assert virtual_time.run(main()) == pytest.approx(1.0, abs=0.01)


def test_one_that_is_cancelled_as_it_is_called_up_gives_back() -> None:
    async def main() -> float:
        pacer = pacer_of({"output_tokens": 6000})
        async with pacer.turn(Need(10, 4000)) as turn:
            called_up = asyncio.create_task(take(pacer, Need(10, 4000)))
            await asyncio.sleep(1.0)
            turn.settle(10, 90)  # now it is its turn, but it does not run before it is cancelled
            called_up.cancel()
            await asyncio.gather(called_up, return_exceptions=True)
        assert called_up.cancelled()
        return await take(pacer, Need(10, 90))

    assert virtual_time.run(main()) == 1.0


def test_a_pacer_outlives_its_event_loop() -> None:
    pacer = pacer_of({"requests": 60_000})

    async def main() -> None:
        async with asyncio.timeout(0.01):
            while True:
                await take(pacer)

    for _ in range(2):
        with pytest.raises(TimeoutError):
            asyncio.run(main())


# --- what replies say ---------------------------------------------------------------------


async def hear(pacer: Pacer, status: int = 200, body: bytes = b"", /, **headers: str) -> Turn:
    async with pacer.turn(ONE) as turn:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        turn.heard(status, named, body)
    return turn


def test_an_announced_limit_is_kept_and_followed_up_and_down() -> None:
    async def main() -> list[dict[Any, float]]:
        pacer, found = pacer_of(), []
        for limit in ("500", "100", "900"):
            await hear(pacer, X_RateLimit_Limit_Requests=limit)
            found.append(pacer.limits)
        return found

    assert virtual_time.run(main()) == [{"requests": n} for n in (500, 100, 900)]


def test_what_is_configured_is_never_exceeded() -> None:
    async def main() -> list[dict[Any, float]]:
        pacer, found = pacer_of({"requests": 200}), []
        for limit in ("500", "100"):
            await hear(pacer, x_ratelimit_limit_requests=limit)
            found.append(pacer.limits)
        pacer.configure({"requests": 50})
        return [*found, pacer.limits]

    assert virtual_time.run(main()) == [{"requests": n} for n in (200, 100, 50)]


def test_what_remains_is_believed_when_it_is_less() -> None:
    """Another process uses the same limit: there is nothing left for a while."""

    async def main() -> float:
        pacer = pacer_of({"requests": 600})
        await hear(pacer, x_ratelimit_limit_requests="600", x_ratelimit_remaining_requests="0")
        return await take(pacer)

    assert virtual_time.run(main()) == pytest.approx(1 / 9.8, abs=0.01)


def test_a_429_closes_the_gate_for_everyone() -> None:
    async def main() -> tuple[float, float]:
        pacer = pacer_of({"requests": 6000}, backoff=NO_JITTER)
        await hear(pacer, 429, retry_after="7")
        turns = [pacer.turn(ONE) for _ in range(3)]
        async with turns[0] as first, turns[1], turns[2] as last:
            return last.at, first.closed_seconds

    at, closed = virtual_time.run(main())
    assert at == pytest.approx(7.0, abs=0.1)
    assert closed == pytest.approx(7.0, abs=0.1)


def test_who_would_have_to_wait_too_long_for_the_gate_is_told_so_at_once() -> None:
    async def main() -> tuple[float, float]:
        pacer = pacer_of({"requests": 60}, backoff=NO_JITTER)
        async with pacer.turn(ONE) as turn:
            waits = asyncio.create_task(take_within(pacer, 100.0))
            patient = asyncio.create_task(take(pacer))
            await asyncio.sleep(0.1)
            turn.heard(429, {"retry-after": "3600"}, b"")
        with pytest.raises(GateShut):
            await waits
        told = now()
        with pytest.raises(GateShut):
            await take_within(pacer, 100.0)
        return told, await patient

    told, served = virtual_time.run(main())
    assert told == pytest.approx(0.1)
    assert served >= 3600.0


async def take_within(pacer: Pacer, patience: float) -> None:
    async with pacer.turn(ONE, patience):
        pass


def test_the_length_of_the_line_is_no_reason_to_lose_patience() -> None:
    async def main() -> None:
        pacer = pacer_of({"requests": 60})
        await asyncio.gather(*(take_within(pacer, 1.0) for _ in range(100)))
        assert now() > 90.0

    virtual_time.run(main())


def test_what_was_reserved_and_not_used_is_given_back() -> None:
    async def main() -> float:
        pacer = pacer_of({"output_tokens": 6000})
        async with pacer.turn(Need(10, 4000)) as turn:
            await asyncio.sleep(1.0)
            turn.heard(200, {}, b"")
            turn.settle(10, 50)
            turn.settle(10, 4000)  # only the first counts
        return await take(pacer)

    assert virtual_time.run(main()) == pytest.approx(1.0)


def test_a_refused_call_gives_its_tokens_back() -> None:
    async def main() -> float:
        pacer = pacer_of({"input_tokens": 600}, backoff=NO_JITTER)
        async with pacer.turn(Need(6000, 1)) as turn:
            turn.heard(429, {"retry-after": "1"}, b"")
        return await take(pacer, Need(5, 1))

    assert virtual_time.run(main()) == pytest.approx(1.0, abs=0.1)


def test_estimates_follow_what_calls_turn_out_to_use() -> None:
    """Every call reads twice what was thought; after a few, so many fewer go at once."""

    async def main() -> float:
        pacer = pacer_of({"input_tokens": 60_000})
        for _ in range(20):
            async with pacer.turn(ONE) as turn:
                turn.heard(200, {}, b"")
                turn.settle(200, 10)
        began = now()
        for _ in range(100):  # none of these is settled
            await take(pacer)
        return now() - began

    assert virtual_time.run(main()) == pytest.approx(100 * 200 / 980, abs=2.0)


# --- against the providers' limiters ------------------------------------------------------


class Mute:
    """A limiter whose replies say nothing."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter

    def admit(self, asked: Asked) -> Admission:
        answer = self._limiter.admit(asked)
        return Admission(answer.allowed, {}, answer.status)


async def demand(
    pacer: Pacer, limiter: Limiter | Mute | ByChance, minutes: int
) -> list[tuple[float, bool]]:
    """Every attempt of 40 workers that are never idle: when, and whether it passed."""
    draw, log = random.Random(2), []

    async def work() -> None:
        while True:
            size = draw.randint(50, 150)
            async with pacer.turn(Need(100, 50)) as turn:
                await asyncio.sleep(draw.uniform(0.02, 0.1))
                answer = limiter.admit(Asked(size, 50))
                log.append((now() / 60.0, answer.allowed))
                await asyncio.sleep(draw.uniform(1.0, 4.0) if answer.allowed else 0.05)
                turn.heard(answer.status, answer.headers, answer.body)
                if answer.allowed:
                    turn.settle(size, 20)

    workers = [asyncio.create_task(work()) for _ in range(40)]
    await asyncio.wait(workers, timeout=minutes * 60.0)
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    return log


def share(log: list[tuple[float, bool]], start: float, end: float, limit: int) -> float:
    return sum(ok and start <= at < end for at, ok in log) / (limit * (end - start))


def refused(log: list[tuple[float, bool]], start: float = 0.0) -> float:
    late = [ok for at, ok in log if at >= start]
    return late.count(False) / len(late)


KINDS = [(OpenAILimiter, False), (AnthropicLimiter, False), (GeminiLimiter, True)]


@pytest.mark.parametrize(("kind", "by_the_minute"), KINDS)
def test_a_known_limit_is_used_and_nothing_is_refused(kind: Any, by_the_minute: bool) -> None:
    async def main() -> list[tuple[float, bool]]:
        pacer = pacer_of({"requests": 200}, by_the_minute=by_the_minute)
        return await demand(pacer, kind({"requests": 200}, virtual_time_wall()), 5)

    log = virtual_time.run(main())
    assert refused(log) == 0.0
    assert share(log, 1.0, 5.0, 200) >= 0.97


@pytest.mark.parametrize(("kind", "by_the_minute"), KINDS)
def test_a_limit_that_is_announced_and_lowered_is_followed(kind: Any, by_the_minute: bool) -> None:
    async def main() -> list[tuple[float, bool]]:
        limiter = kind({"requests": 200}, virtual_time_wall())
        loop = asyncio.get_running_loop()
        loop.call_later(240.0, limiter.change, {"requests": 80})
        pacer = pacer_of(by_the_minute=by_the_minute)
        return await demand(pacer, limiter, 8)

    log = virtual_time.run(main())
    assert share(log, 2.0, 4.0, 200) >= 0.9
    assert share(log, 5.0, 8.0, 80) >= 0.9
    assert refused(log) <= 0.02


@pytest.mark.parametrize(("kind", "by_the_minute"), KINDS)
@pytest.mark.parametrize("limit", [15, 150])
def test_an_unknown_limit_is_learned(kind: Any, by_the_minute: bool, limit: int) -> None:
    async def main() -> list[tuple[float, bool]]:
        limiter = Mute(kind({"requests": limit}, virtual_time_wall()))
        return await demand(pacer_of(by_the_minute=by_the_minute), limiter, 10)

    log = virtual_time.run(main())
    assert refused(log) <= 0.15
    assert refused(log, 6.0) <= 0.05
    assert 0.85 <= share(log, 6.0, 10.0, limit) <= 1.05


def test_a_limit_below_the_configured_one_is_found_out() -> None:
    """No header says that the tier was lowered; the refusals do."""

    async def main() -> list[tuple[float, bool]]:
        limiter = Mute(OpenAILimiter({"requests": 100}, virtual_time_wall()))
        return await demand(pacer_of({"requests": 400}), limiter, 10)

    log = virtual_time.run(main())
    assert refused(log) <= 0.15
    assert share(log, 4.0, 10.0, 100) >= 0.9


class ByChance:
    """Refuses so many, however slowly they come; else what ``limiter`` says, if there is one."""

    def __init__(self, share: float, limiter: Limiter | None = None) -> None:
        self._share, self._limiter, self._draw = share, limiter, random.Random(4)

    def admit(self, asked: Asked) -> Admission:
        if self._draw.random() < self._share:
            return Admission(False, {}, 429)
        return self._limiter.admit(asked) if self._limiter else Admission(True)


@pytest.mark.parametrize("how", [{"eager": True}, {}, {"by_the_minute": True}])
@pytest.mark.parametrize(("chance", "least"), [(0.01, 0.7), (0.05, 0.5), (0.3, 0.1)])
def test_refusals_that_have_nothing_to_do_with_the_pace_do_not_lower_it(
    how: dict[str, Any], chance: float, least: float
) -> None:
    """Without any, 40 workers whose calls take 2.5 s pass 920 a minute."""

    async def main() -> list[tuple[float, bool]]:
        return await demand(pacer_of(**how), ByChance(chance), 8)

    log = virtual_time.run(main())
    assert share(log, 4.0, 8.0, 920) >= least


@pytest.mark.parametrize("chance", [0.001, 0.01])
def test_a_chance_refusal_does_not_lower_a_known_limit(chance: float) -> None:
    async def main() -> list[tuple[float, bool]]:
        pacer = pacer_of({"requests": 200})
        limiter = ByChance(chance, OpenAILimiter({"requests": 200}, virtual_time_wall()))
        log = await demand(pacer, limiter, 10)
        assert pacer.limits == {"requests": 200}
        return log

    assert share(virtual_time.run(main()), 1.0, 10.0, 200) >= 0.95


def test_a_quota_that_only_refusals_name_is_tried_again_once_it_is_old() -> None:
    async def main() -> list[tuple[float, bool]]:
        limiter = GeminiLimiter({"requests": 60}, virtual_time_wall())
        asyncio.get_running_loop().call_later(120.0, limiter.change, {"requests": 100})
        return await demand(pacer_of(by_the_minute=True), limiter, 20)

    log = virtual_time.run(main())
    assert share(log, 2.0, 5.0, 60) <= 1.02
    assert share(log, 15.0, 20.0, 100) >= 0.95
    assert refused(log) <= 0.01


def test_a_server_of_ones_own_is_not_held_back() -> None:
    async def main() -> list[float]:
        pacer = pacer_of(eager=True)
        return [await take(pacer) for _ in range(200)]

    assert set(virtual_time.run(main())) == {0.0}


def virtual_time_wall() -> Any:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, virtual_time.VirtualTimeLoop)
    return loop.wall
