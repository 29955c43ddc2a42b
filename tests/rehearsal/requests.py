"""Request bodies as the product sends them, for the tests of the rehearsal service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llamaduo.records import Message, Pair, Provenance
from llamaduo.rehearsal.tasks.tickets import tickets
from llamaduo.tasks.settings import TaskSettings
from llamaduo.tasks.templates import (
    COMPARISON_SCHEMA,
    COMPARISON_SHAPE,
    JUDGEMENT_SHAPE,
    PAIRS_SCHEMA,
    PAIRS_SHAPE,
    judge_messages,
    judgement_schema,
    synthesis_messages,
)

TASK = TaskSettings()
_SCHEMAS = {
    COMPARISON_SHAPE: COMPARISON_SCHEMA,
    JUDGEMENT_SHAPE: judgement_schema(),
    PAIRS_SHAPE: PAIRS_SCHEMA,
}


def pair(instruction: str, response: str, system: str | None = None) -> Pair:
    messages = [Message("user", instruction)]
    if system:
        messages.insert(0, Message("system", system))
    return Pair(
        id=instruction[:16],
        messages=tuple(messages),
        response=response,
        reference_source="human",
        provenance=Provenance(origin="coverage", source="pairs.jsonl:1"),
    )


def ticket_pairs(count: int, seed: int = 0) -> list[Pair]:
    rows = [row["messages"] for row in tickets(count, seed)]
    return [
        pair(user["content"], right["content"], system["content"]) for system, user, right in rows
    ]


def body(messages: Sequence[Message], shape: str | None = None, **more: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "model": "gpt-4o",
        "messages": [{"role": m.role, "content": m.content} for m in messages],
    }
    if shape:
        wanted = {"name": shape, "schema": _SCHEMAS[shape], "strict": True}
        asked["response_format"] = {"type": "json_schema", "json_schema": wanted}
    return asked | more


def judge_body(pair: Pair, response: str, sample: int = 0) -> dict[str, Any]:
    return body(judge_messages(TASK, pair, response), JUDGEMENT_SHAPE, seed=sample)


def synthesis_body(seeds: Sequence[Pair], count: int, sample: int = 0) -> dict[str, Any]:
    return body(synthesis_messages(TASK, seeds, count), PAIRS_SHAPE, seed=sample)
