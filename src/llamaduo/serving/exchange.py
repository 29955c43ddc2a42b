"""One request on its way: from the engine's thread to the event loop, until it ends or is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from llamaduo.serving.asking import Refusal
from llamaduo.serving.jobs import Cancel, Delivery, Engine, Failed, Job, Unavailable
from llamaduo.wire.chat import ErrorDetail

Receive = Callable[[], Awaitable[Any]]


class Gone(Exception):
    """The client has left: there is nobody to answer."""


class Exchange:
    """The deliveries of one job, in order."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._deliveries: asyncio.Queue[Delivery | None] = asyncio.Queue()

    def deliver(self, delivery: Delivery | None) -> None:
        """From any thread. None: the client has gone."""
        with suppress(RuntimeError):  # the loop has ended, and nobody waits any more
            self._loop.call_soon_threadsafe(self._deliveries.put_nowait, delivery)

    async def next(self) -> Delivery:
        """The next delivery.

        Raises:
            Gone: the client has left.
        """
        delivery = await self._deliveries.get()
        if delivery is None:
            raise Gone
        return delivery


@asynccontextmanager
async def exchanging(engine: Engine, job: Job, receive: Receive) -> AsyncIterator[Exchange]:
    """Queue ``job`` and watch its client; however the block is left, the job ends with it.

    Raises:
        Refusal: 503; the engine takes no request now.
    """
    exchange = Exchange()
    cancel = _submit(engine, job, exchange)
    watch = asyncio.create_task(_watch(receive, cancel, exchange))
    try:
        yield exchange
    finally:
        cancel()
        watch.cancel()


def _submit(engine: Engine, job: Job, exchange: Exchange) -> Cancel:
    try:
        return engine.submit(job, exchange.deliver)
    except Unavailable as full:
        raise busy(full) from full


async def _watch(receive: Receive, cancel: Cancel, exchange: Exchange) -> None:
    """Wait until the client hangs up, then free its place at once."""
    while (await receive())["type"] != "http.disconnect":
        pass
    cancel()
    exchange.deliver(None)


def busy(full: Unavailable) -> Refusal:
    """503, with the seconds after which it is worth asking again."""
    code = "shutting_down" if full.retry_after is None else "queue_full"
    headers = {} if full.retry_after is None else {"Retry-After": str(full.retry_after)}
    return Refusal(503, ErrorDetail(message=str(full), type="server_error", code=code), headers)


def detail_of(failure: Failed) -> ErrorDetail:
    return ErrorDetail(message=failure.message, type="server_error", code=failure.code)
