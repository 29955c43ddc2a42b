"""The scheduler of one provider, project and model: who may send next, and when.

Calls wait in one line and go in the order in which they came, so none is overtaken for ever.
A call goes when the gate is open and every limit has room for it. What it may take is reserved
then, and corrected once it is known what it did take.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from llamaduo.service.pacing import replies
from llamaduo.service.pacing.bucket import (
    SHARE,
    SHARE_OF_WINDOW,
    SMOOTHING,
    WINDOW_SECONDS,
    Bucket,
    Taken,
)
from llamaduo.service.pacing.gate import Gate
from llamaduo.service.pacing.known import Known
from llamaduo.service.pacing.learning import Learner
from llamaduo.service.pacing.replies import TOO_MANY, Dimension
from llamaduo.service.pacing.sizes import LEARNED, Need, Sizes, amounts
from llamaduo.service.retry import Backoff


class GateShut(Exception):
    """Nobody may send for longer than the one who waits has patience: ``seconds`` from now."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no call may be sent for {seconds:.0f} s")
        self.seconds = seconds


_SHORTEST_SLEEP = 1e-4
_STUBBORN_REFUSALS, _STUBBORN_SECONDS = 3, 60.0
"""So many refusals in so long, while every known limit was kept: there is another limit."""


@dataclass(slots=True, eq=False)
class Turn:
    """A call's turn, from the moment it may be sent. ``closed_seconds``: how long it waited
    because the provider refused calls, rather than for its place."""

    need: Need
    at: float
    taken: dict[str, Taken]
    closed_seconds: float
    _pacer: Pacer
    _settled: bool = False

    def heard(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """The reply's head and body, as they came; ``headers`` with names in any case."""
        self._pacer.heard(self, status, replies.heeded(headers), body)

    def settle(self, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> None:
        """What the reply says it used; ``cached_tokens`` of the input came from a cache."""
        if not self._settled:
            self._settled = True
            self._pacer.settle(self, input_tokens, output_tokens, cached_tokens)


@dataclass(slots=True, eq=False)
class _Waiter:
    need: Need
    ready: asyncio.Future[Turn]
    closed_before: float
    patience: float


class Pacer:
    """Shared by all that send to one provider, project and model from this process.

    ``rates``: the limits that are known, in a minute. ``by_the_minute``: the provider counts
    whole minutes. ``eager``: begin at full speed where no limit is known, as a server of one's
    own has none. Without ``learns`` a 429 closes the gate, and no limit is concluded from it.
    ``backoff`` is added to the wait that a 429 asks for. Time is the running event loop's; ``wall``
    is only compared with dates in replies. Belongs to one event loop at a time.
    """

    def __init__(
        self,
        rates: Mapping[Dimension, float] | None = None,
        *,
        by_the_minute: bool = False,
        eager: bool = False,
        learns: bool = True,
        backoff: Backoff | None = None,
        draw: random.Random | None = None,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._by_the_minute = by_the_minute
        self._wall = wall
        self._eager = eager
        self._learns = learns
        self._known = Known(rates or {})
        self._buckets: dict[str, Bucket] = {}
        self._gate = Gate(backoff or Backoff(), draw or random.Random())
        self._learner: Learner | None = None
        self._news: deque[float] = deque()
        self._sizes = Sizes()
        self._recent: deque[Turn] = deque()
        self._line: deque[_Waiter] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._held_back = False

    def configure(self, rates: Mapping[Dimension, float]) -> None:
        """Keep to these limits too; where two are given for one thing, the lower holds."""
        self._known.configure(rates)

    @property
    def limits(self) -> dict[Dimension, float]:
        """The limits that are known, in a minute."""
        return self._known.limits()

    @asynccontextmanager
    async def turn(self, need: Need, patience: float = math.inf) -> AsyncIterator[Turn]:
        """Wait until a call that needs ``need`` may be sent; the block sends it.

        Cancelled while it waits, it has taken nothing. ``patience`` is for refusals alone: the
        seconds that it waits at most because calls were refused, however long the line is.

        Raises:
            GateShut: they would be more; nothing was taken.
        """
        yield await self._stand_in_line(need, patience)

    # --- the line -------------------------------------------------------------------------

    async def _stand_in_line(self, need: Need, patience: float) -> Turn:
        loop = asyncio.get_running_loop()
        closed = self._gate.closed_seconds(loop.time())
        waiter = _Waiter(need, loop.create_future(), closed, patience)
        self._line.append(waiter)
        self._let_go()
        try:
            return await waiter.ready
        except asyncio.CancelledError:
            self._leave(waiter)
            raise

    def _leave(self, waiter: _Waiter) -> None:
        """Cancelled: before its turn, or between being called up and noticing."""
        if waiter in self._line:
            self._line.remove(waiter)
        elif not waiter.ready.cancelled() and waiter.ready.exception() is None:
            self._give_back(waiter.ready.result(), dict.fromkeys(self._buckets, 0.0))
        self._let_go()

    def _let_go(self) -> None:
        """Call up everyone whose turn it is, and come back when it is the next one's."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if not self._line:
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._prepare(now)
        self._send_away(now)
        while self._line:
            waiter = self._line[0]
            charges = self._charges(waiter.need)
            wait = self._wait(charges, now)
            if wait > 0.0:
                self._timer = loop.call_later(max(wait, _SHORTEST_SLEEP), self._let_go)
                return
            self._line.popleft()
            if not waiter.ready.done():
                waiter.ready.set_result(self._begin(waiter, charges, now))

    def _send_away(self, now: float) -> None:
        """Those whose patience the closed gate is too much for."""
        shut = self._gate.wait(now)
        waited = self._gate.closed_seconds(now)
        for waiter in tuple(self._line) if shut > 0.0 else ():
            if waited - waiter.closed_before + shut > waiter.patience:
                self._line.remove(waiter)
                if not waiter.ready.done():
                    waiter.ready.set_exception(GateShut(shut))

    def _begin(self, waiter: _Waiter, charges: Mapping[str, float], now: float) -> Turn:
        taken = {name: self._buckets[name].take(amount, now) for name, amount in charges.items()}
        self._gate.passed(now)
        self._learning(now).sent(now)
        closed = self._gate.closed_seconds(now) - waiter.closed_before
        turn = Turn(waiter.need, now, taken, closed, self)
        self._recent.append(turn)
        while self._recent[0].at <= now - WINDOW_SECONDS:
            self._recent.popleft()
        return turn

    def _wait(self, charges: Mapping[str, float], now: float) -> float:
        """Seconds until the first in the line may go."""
        waits = {name: self._buckets[name].wait(amount, now) for name, amount in charges.items()}
        self._held_back = self._held_back or waits.get(LEARNED, 0.0) > 0.0
        return max(self._gate.wait(now), *waits.values(), 0.0)

    def _charges(self, need: Need) -> dict[str, float]:
        """What a call is expected to take from each bucket there is."""
        expected = self._sizes.expected(need)
        return {name: expected[name] for name in self._buckets}

    # --- the limits -----------------------------------------------------------------------

    def _prepare(self, now: float) -> None:
        """The buckets that the limits call for, at their present rates."""
        for name, limit in self._known.to_try(now).items():
            if self._by_the_minute:
                most = limit if name == "requests" else limit * SHARE_OF_WINDOW
                self._set(name, limit * SMOOTHING, now, most)
            else:
                self._set(name, limit * SHARE, now, None)
        pace, allowed = self._learning(now).pace, self._learning(now).allowed
        if math.isinf(pace):
            self._buckets.pop(LEARNED, None)
        elif self._by_the_minute and allowed:
            self._set(LEARNED, pace * SMOOTHING, now, max(pace, allowed))
        else:
            self._set(LEARNED, pace, now, None)

    def _set(self, name: str, rate: float, now: float, window: float | None) -> None:
        if name in self._buckets and self._buckets[name].has_window == (window is not None):
            self._buckets[name].set_rate(rate, now, window=window)
            return
        self._buckets[name] = bucket = Bucket(rate, now, window=window)
        for turn in self._recent:
            turn.taken[name] = bucket.recall(self._sizes.expected(turn.need)[name], turn.at)

    def _learning(self, now: float) -> Learner:
        if self._learner is None:
            eager = self._eager or bool(self._known)
            self._learner = Learner(now, eager=eager, by_the_minute=self._by_the_minute)
        return self._learner

    # --- what calls come to ---------------------------------------------------------------

    def heard(self, turn: Turn, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """See :meth:`Turn.heard`."""
        now = asyncio.get_running_loop().time()
        said = replies.read(status, headers, body, self._wall())
        news = self._known.hear(said, now)
        if news:
            self._learning(now).stop()
            self._news.clear()
        if status == TOO_MANY:
            self._refused(turn, said.wait, now, explained=news)
        else:
            self._accepted(turn, status, now)
        self._prepare(now)
        for name, left in said.remaining.items():
            if name in turn.taken:
                self._buckets[name].heard_remaining(left, turn.taken[name], now)
        self._let_go()

    def _accepted(self, turn: Turn, status: int, now: float) -> None:
        self._gate.accepted(turn.at)
        self._learning(now).accepted(now, held_back=self._held_back)
        self._held_back = False
        if status >= 400 and "output_tokens" in turn.taken:
            self._give_back(turn, {"output_tokens": 0.0})

    def _refused(self, turn: Turn, asked: float | None, now: float, *, explained: bool) -> None:
        """A refused call has used no tokens; that it was a request may count all the same."""
        is_news = self._gate.refused(now, turn.at, asked)
        if is_news and not explained:
            self._news.append(now)
        while self._news and self._news[0] <= now - _STUBBORN_SECONDS:
            self._news.popleft()
        learner = self._learning(now)
        stubborn = len(self._news) >= _STUBBORN_REFUSALS
        trusting = self._eager or bool(self._known)
        learner.refused(now, turn.at, learn=self._learns and (stubborn or not trusting))
        tokens = {name: 0.0 for name in turn.taken if name not in ("requests", LEARNED)}
        self._give_back(turn, tokens)
        if turn in self._recent:
            self._recent.remove(turn)

    def settle(self, turn: Turn, read: int, written: int, cached: int) -> None:
        """See :meth:`Turn.settle`."""
        self._sizes.add(turn.need, read, written)
        used = amounts(read - cached, read + turn.need.output_tokens, written)
        self._give_back(turn, used)
        self._let_go()

    def _give_back(self, turn: Turn, used: Mapping[str, float]) -> None:
        """Correct what ``turn`` has taken to what it used."""
        now = asyncio.get_running_loop().time()
        for name, amount in used.items():
            if name in turn.taken and name in self._buckets:
                self._buckets[name].correct(turn.taken[name], amount, now)
