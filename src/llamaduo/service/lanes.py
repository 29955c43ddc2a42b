"""Many questions at once: bounded for each service LLM, answered in any order, kept in order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from llamaduo.errors import LlamaduoError

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Lane(Generic[Item]):
    """The work of one service LLM: its items, and how many may be in flight at once. ``leave``
    makes it send nothing more: see :meth:`ServiceLLM.leave`."""

    items: Sequence[Item]
    limit: int
    leave: Callable[[], None] = lambda: None


async def work_through(
    lanes: Sequence[Lane[Item]], work: Callable[[Item], Awaitable[Result]]
) -> list[Result]:
    """Do ``work`` on every item of every lane, all lanes side by side.

    The results come in the order of lanes and items, whatever the order of arrival. After
    the first error on purpose nothing new starts in any lane, but what is in flight ends
    first: those replies are being paid for. What only waits to be sent, or for a batch, is left.
    Cancelling the caller cancels what is in flight at once.

    Raises:
        LlamaduoError: the first that ``work`` raised, by itself and not in a group.
    """
    failures: list[LlamaduoError] = []
    results: dict[int, Result] = {}

    async def work_down(queue: Iterator[tuple[int, Item]]) -> None:
        for place, item in queue:
            if failures:
                return
            try:
                results[place] = await work(item)
            except LlamaduoError as error:
                failures.append(error)
                if len(failures) == 1:
                    for lane in lanes:
                        lane.leave()

    start = 0
    async with asyncio.TaskGroup() as group:
        for lane in lanes:
            queue = enumerate(lane.items, start)  # shared: each worker takes the next item
            for _ in range(min(lane.limit, len(lane.items))):
                group.create_task(work_down(queue))
            start += len(lane.items)
    if failures:
        raise failures[0]
    return [results[place] for place in range(start)]
