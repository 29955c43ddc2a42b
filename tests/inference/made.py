"""Pairs for the tests of this room."""

from __future__ import annotations

from llamaduo.records import Message, Pair, Provenance, pair_id


def pairs(count: int) -> tuple[Pair, ...]:
    """Prompts of several lengths, so that batches need padding."""
    return tuple(_pair(f"Order {i}{' is late' * (i * 5 % 7)}.") for i in range(count))


def _pair(instruction: str) -> Pair:
    messages = (Message("user", instruction),)
    return Pair(
        id=pair_id(messages, "shipping, high"),
        messages=messages,
        response="shipping, high",
        reference_source="human",
        provenance=Provenance(origin="coverage", source="made.jsonl:1"),
    )


def long_pair(words: int) -> Pair:
    return _pair("word " * words)
