"""Train pairs that the tests of this room start from."""

from __future__ import annotations

from typing import Any

from llamaduo.records import Message, Pair, Provenance, pair_id


def seed(
    instruction: str,
    *,
    system: str = "",
    json_schema: dict[str, Any] | None = None,
    **metadata: str,
) -> Pair:
    before = (Message("system", system),) if system else ()
    messages = (*before, Message("user", instruction))
    return Pair(
        id=pair_id(messages, "yes"),
        messages=messages,
        response="yes",
        reference_source="human",
        provenance=Provenance(origin="coverage", source="made.jsonl:1"),
        json_schema=json_schema,
        metadata=metadata,
    )
