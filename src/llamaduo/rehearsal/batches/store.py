"""What was submitted, and what became of it. Each request is answered like one of its own."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from starlette.exceptions import HTTPException

from llamaduo.rehearsal.asked import Refusal, Refused
from llamaduo.rehearsal.batches.plan import BatchPlan
from llamaduo.rehearsal.dialect import Body, Dialect
from llamaduo.rehearsal.record import Asked, Record

_HOLD_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Item:
    """One request of a batch."""

    custom_id: str
    body: Any


def as_called(body: Any) -> Any:
    """``body`` as the SDKs send it in a call, where they say that they want no stream: a question
    gets the same reply in a batch and outside of one."""
    return {"stream": False} | body if isinstance(body, dict) else body


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended. ``body`` is the reply, or the error with its ``status``, in the dialect."""

    custom_id: str
    how: Literal["succeeded", "errored", "expired", "canceled"]
    status: int = 0
    body: Body = field(default_factory=dict)
    asked: Asked | None = None


@dataclass(slots=True)
class Job:
    """A batch. ``ended`` is empty until it has; ``source`` is the file it was made of."""

    id: str
    dialect: Dialect
    items: Sequence[Item]
    created_at: float
    source: str = ""
    model: str | None = None
    failure: str = ""
    canceled: bool = False
    ended: list[Ended] = field(default_factory=list)

    def count(self, how: str) -> int:
        return sum(one.how == how for one in self.ended)


class Store:
    """Files and batches of all dialects, in memory."""

    def __init__(self, record: Record, plan: BatchPlan) -> None:
        self.files: dict[str, bytes] = {}
        self.plan = plan
        self._record = record
        self._jobs: dict[str, Job] = {}
        self._held = not plan.hold
        self._stumbles = plan.stumbles
        self._numbers = 0

    def keep(self, content: bytes, kind: str) -> str:
        """A new file; returns its name."""
        name = self._name(kind)
        self.files[name] = content
        return name

    async def create(
        self,
        kind: str,
        dialect: Dialect,
        items: Sequence[Item],
        *,
        source: str = "",
        model: str | None = None,
    ) -> Job:
        """A new batch, unless the plan lets the client wait for nothing."""
        await self._hold("before", dialect)
        job = Job(self._name(kind), dialect, items, time.time(), source, model)
        self._jobs[job.id] = job
        self._record.batch(job.id, dialect.name, len(items))
        await self._hold("after", dialect)
        return job

    def find(self, id_: str, dialect: Dialect) -> Job | None:
        """The batch as it is now, unless the service stumbles."""
        if self._stumbles:
            self._stumbles -= 1
            raise HTTPException(503, "A rehearsed stumble")
        job = self._jobs.get(id_)
        if job is None or job.dialect is not dialect:
            return None
        self._see_to(job)
        return job

    def newest_first(self, dialect: Dialect) -> list[Job]:
        """All batches of a dialect."""
        jobs = [job for job in self._jobs.values() if job.dialect is dialect]
        for job in jobs:
            self._see_to(job)
        return jobs[::-1]

    def results(self, job: Job, how: Sequence[str]) -> list[Ended]:
        """The requests that ended in one of these ways; recorded as delivered, paid before."""
        found = [one for one in job.ended if one.how in how]
        for one in found:
            if one.asked:
                self._record.delivered(
                    one.asked, one.status, arrived=True, fault="", size=0, paid=False
                )
        return found

    # --- processing -----------------------------------------------------------------------

    def _see_to(self, job: Job) -> None:
        due = job.canceled or time.time() >= job.created_at + self.plan.seconds
        if due and not job.ended and not job.failure:
            job.ended = [self._process(job, item) for item in job.items]

    def _process(self, job: Job, item: Item) -> Ended:
        if job.canceled:
            return Ended(item.custom_id, "canceled")
        chance = int(hashlib.sha256(item.custom_id.encode()).hexdigest()[:8], 16) / 2**32
        if chance < self.plan.expired:
            return Ended(item.custom_id, "expired")
        if chance < self.plan.expired + self.plan.errored:
            body = job.dialect.refuse(Refusal(status=500, message="A rehearsed error."))
            return Ended(item.custom_id, "errored", 500, body)
        return self._answer(job, item)

    def _answer(self, job: Job, item: Item) -> Ended:
        try:
            read = job.dialect.parse(item.body, job.model)
            body = job.dialect.render(read, job.dialect.draft(read))
        except Refused as error:
            refusal = error.refusal
            return Ended(item.custom_id, "errored", refusal.status, job.dialect.refuse(refusal))
        asked = self._record.asked(read.digest, read.shape, dialect=job.dialect.name)
        self._record.delivered(asked, 200, arrived=False, fault="", size=0, paid=True)
        return Ended(item.custom_id, "succeeded", 200, body, asked)

    # --- names and holds ------------------------------------------------------------------

    def _name(self, kind: str) -> str:
        self._numbers += 1
        return f"{kind}{self._numbers:06d}"

    async def _hold(self, when: str, dialect: Dialect) -> None:
        if not self._held and self.plan.hold == when:
            self._held = True
            self._record.held(dialect.name)
            await asyncio.sleep(_HOLD_SECONDS)
