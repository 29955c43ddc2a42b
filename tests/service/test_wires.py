"""One connection for each call under way, and no more of them than allowed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx2
import pytest

from llamaduo.service.wires import Wires
from tests.service.loopback import Service, says, serving


@asynccontextmanager
async def wired(most: int) -> AsyncIterator[tuple[Wires, Service]]:
    wires = Wires(lambda limits: httpx2.AsyncClient(limits=limits), most)
    async with serving() as service:
        try:
            yield wires, service
        finally:
            await wires.aclose()


async def ask(wires: Wires, service: Service) -> int:
    async with wires.one() as wire:
        return (await wire.post(service.base_url, json={})).status_code


async def test_calls_one_after_another_share_a_connection() -> None:
    async with wired(8) as (wires, service):
        assert [await ask(wires, service) for _ in range(20)] == [200] * 20
        assert service.connections == 1


async def test_calls_at_once_have_a_connection_each_up_to_the_most() -> None:
    async with wired(4) as (wires, service):
        service.then(*[replace(says("slow"), delay=0.05)] * 40)
        assert await asyncio.gather(*(ask(wires, service) for _ in range(40))) == [200] * 40
        assert service.connections == 4


async def test_a_call_that_is_given_up_leaves_its_place_to_the_next() -> None:
    async with wired(1) as (wires, service):
        service.then(replace(says("too slow"), delay=60))
        await given_up(asyncio.create_task(ask(wires, service)), service.asked.wait())
        assert await ask(wires, service) == 200
        assert service.connections == 2


@pytest.mark.parametrize("steps", range(1, 8))
async def test_so_does_one_that_is_given_up_before_it_is_sent(steps: int) -> None:
    async with wired(1) as (wires, service):
        call = asyncio.create_task(ask(wires, service))
        for _ in range(steps):
            await asyncio.sleep(0)
        await given_up(call, asyncio.sleep(0))
        assert await ask(wires, service) == 200


async def given_up(call: asyncio.Task[int], after: Awaitable[object]) -> None:
    await after
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_a_connection_that_the_provider_closed_is_opened_again() -> None:
    wires = Wires(lambda limits: httpx2.AsyncClient(limits=limits), 1)
    async with serving() as first:
        assert await ask(wires, first) == 200
        address = first.base_url
    with pytest.raises(httpx2.ConnectError):
        async with wires.one() as wire:
            await wire.post(address, json={})
    async with serving() as second:
        assert await ask(wires, second) == 200
    await wires.aclose()
