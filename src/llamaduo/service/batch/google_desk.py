"""Gemini's batch jobs: a file goes in, a results file comes out. Google Cloud's are others.

Read from google-genai 2.34 and the Gemini API's reference: ``batches``, ``files``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from google.genai.errors import APIError

from llamaduo.service.batch.desk import Look, lines_of
from llamaduo.service.batch.outcomes import Outcome, google_line, read_lines

_ENDED = frozenset({"SUCCEEDED", "PARTIALLY_SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED"})


class GoogleDesk:
    """Follows :class:`~llamaduo.service.batch.desk.Desk`."""

    def __init__(self, model: Any) -> None:
        self.errors: tuple[type[Exception], ...] = (APIError,)
        self._client = model.client.aio

    async def look(self, batch: str) -> Look:
        return _look(await self._client.batches.get(name=batch))

    async def outcomes(self, look: Look) -> dict[str, Outcome]:
        found: dict[str, Outcome] = {}
        for file in look.places:
            content = await self._client.files.download(file=file)
            found |= read_lines(lines_of(content), google_line)
        return found

    async def recent(self, since: datetime) -> list[Look]:
        jobs = await self._client.batches.list(config={"page_size": 100})
        looks = [_look(job) async for job in jobs]
        return [look for look in looks if look.created_at >= since]

    async def holds(self, _look: Look, _custom_ids: frozenset[str]) -> bool | None:
        return None  # what was uploaded cannot be downloaded, and a job does not name it

    async def forget(self, _look: Look) -> None:
        """The job does not say what its input file was called; it is gone in 48 hours."""


def _look(job: Any) -> Look:
    state = str(getattr(job.state, "value", job.state) or "").removeprefix("JOB_STATE_")
    place = job.dest.file_name if job.dest else None
    failed = state == "FAILED" and not place
    said = getattr(job.error, "message", None) if failed else None
    return Look(
        id=job.name,
        created_at=job.create_time or datetime.now(UTC),
        ended=state in _ENDED,
        places=(place,) if place else (),
        cut=state.lower() if state in ("EXPIRED", "CANCELLED") else "",
        failure=(said or "the job failed, and gave no reason") if failed else "",
    )
