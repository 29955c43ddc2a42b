"""Pairs for the tests of this room."""

from __future__ import annotations

from llamaduo.records import Message, Pair, Provenance, TrainSplit, pair_id


def pair(instruction: str, response: str, *, system: str | None = None) -> Pair:
    messages = (Message("system", system),) if system else ()
    messages = (*messages, Message("user", instruction))
    return Pair(
        id=pair_id(messages, response),
        messages=messages,
        response=response,
        reference_source="human",
        provenance=Provenance(origin="coverage", source="made.jsonl:1"),
    )


def tickets(count: int) -> TrainSplit:
    """Two kinds of tickets of different lengths, a label each."""
    kinds = [("The parcel is late", "shipping"), ("I was charged twice", "billing, high")]
    return TrainSplit(
        tuple(
            pair(f"{kinds[i % 2][0]}, order {i}{' please' * (i % 5)}.", kinds[i % 2][1])
            for i in range(count)
        )
    )
