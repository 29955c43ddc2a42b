"""When a group of questions departs: full, or nothing new for a while."""

from __future__ import annotations

import asyncio
from typing import Any

from llamaduo.service.batch.gathering import Gathering, Seat
from llamaduo.service.ledger import Attempt


def seat(size: int = 1) -> Seat:
    encoded: Any = None
    return Seat(Attempt("k", 1, 0.0, "m"), encoded, size, ())


async def departures(*sizes: int, most: int = 10, most_bytes: int = 100) -> list[list[int]]:
    """The sizes in each group, after the last has departed."""
    groups: list[list[int]] = []
    gathering = Gathering(
        lambda seats: groups.append([one.size for one in seats]),
        most=most, most_bytes=most_bytes, quiet=0.01,
    )  # fmt: skip
    for size in sizes:
        gathering.add(seat(size))
    async with asyncio.timeout(10):
        while sum(map(len, groups)) < len(sizes):  # noqa: ASYNC110 - the timer is the subject
            await asyncio.sleep(0.005)
    return groups


async def test_questions_that_come_together_depart_together() -> None:
    assert await departures(1, 1, 1) == [[1, 1, 1]]


async def test_a_full_group_departs_at_once() -> None:
    assert await departures(1, 1, 1, 1, 1, most=2) == [[1, 1], [1, 1], [1]]


async def test_no_group_is_larger_than_the_provider_takes() -> None:
    assert await departures(60, 60, 30, 200, 1) == [[60], [60, 30], [200], [1]]


async def test_who_no_longer_waits_does_not_depart() -> None:
    groups: list[int] = []
    gathering = Gathering(lambda seats: groups.append(len(seats)), most=3, most_bytes=9, quiet=60.0)
    left, *staying = seat(), seat(), seat()
    gathering.add(left)
    left.delivery.cancel()
    for one in staying:
        gathering.add(one)
    gathering.close()
    assert groups == [2]
