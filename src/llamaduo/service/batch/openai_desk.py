"""OpenAI's batches: a file goes in, an output file and an error file come out.

Read from openai 3.54 and its API reference: ``/v1/batches``, ``/v1/files``.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from openai import APIError

from llamaduo.service.batch.desk import Look, lines_of
from llamaduo.service.batch.outcomes import Outcome, openai_line, read_lines

_ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
_CROWDED = frozenset({"token_limit_exceeded", "request_limit_exceeded"})
"""Validation errors that pass once other batches have ended."""


class OpenAIDesk:
    """Follows :class:`~llamaduo.service.batch.desk.Desk`."""

    def __init__(self, model: Any) -> None:
        self.errors: tuple[type[Exception], ...] = (APIError,)
        self._client = model.client

    async def look(self, batch: str) -> Look:
        return _look(await self._client.batches.retrieve(batch))

    async def outcomes(self, look: Look) -> dict[str, Outcome]:
        found: dict[str, Outcome] = {}
        for file in look.places:
            content = (await self._client.files.content(file)).content
            found |= read_lines(lines_of(content), openai_line)
        return found

    async def recent(self, since: datetime) -> list[Look]:
        found = []
        async for batch in self._client.batches.list(limit=100):  # the newest first
            look = _look(batch)
            if look.created_at < since:
                break
            found.append(look)
        return found

    async def holds(self, look: Look, custom_ids: frozenset[str]) -> bool | None:
        first, _, _ = (await self._client.files.content(look.inputs)).content.partition(b"\n")
        try:
            return json.loads(first).get("custom_id") in custom_ids
        except (ValueError, AttributeError, TypeError):
            return False

    async def forget(self, look: Look) -> None:
        await self._client.files.delete(look.inputs)


def _look(batch: Any) -> Look:
    counts = batch.request_counts
    errors = (batch.errors and batch.errors.data) or []
    failed = batch.status == "failed"
    return Look(
        id=batch.id,
        created_at=datetime.fromtimestamp(batch.created_at, tz=UTC),
        ended=batch.status in _ENDED,
        done=counts.completed + counts.failed if counts else None,
        total=(counts and counts.total) or None,  # 0 until the input file was read
        places=tuple(filter(None, (batch.output_file_id, batch.error_file_id))),
        inputs=batch.input_file_id,
        cut=batch.status if batch.status in ("expired", "cancelled") else "",
        failure=_failure(errors) if failed else "",
        crowded=failed and any(error.code in _CROWDED for error in errors),
    )


def _failure(errors: list[Any]) -> str:
    words = [
        f"{error.message or error.code}" + (f" (line {error.line})" if error.line else "")
        for error in errors[:3]
    ]
    return "; ".join(words) or "it gave no reason"
