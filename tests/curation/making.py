"""Pairs and runs of curate() for these tests, in few words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llamaduo.curation.curate import curate
from llamaduo.curation.settings import CurationSettings
from llamaduo.records import (
    Curated,
    FinalSplit,
    Message,
    Pair,
    Provenance,
    TestSplit,
    TrainSplit,
    pair_id,
)
from llamaduo.tasks.settings import TaskSettings

SETTINGS = CurationSettings()


def pair(instruction: str, response: str = "fine", system: str | None = None) -> Pair:
    user = (Message("user", instruction),)
    messages = user if system is None else (Message("system", system), *user)
    return Pair(
        id=pair_id(messages, response),
        messages=messages,
        response=response,
        reference_source="service",
        provenance=Provenance(origin="synthetic", source="test"),
    )


def pair_of_row(row: dict[str, Any]) -> Pair:
    """A pair from a row of a coverage file in chat form: the last assistant message answers."""
    chat = row["messages"]
    last = max(i for i, message in enumerate(chat) if message["role"] == "assistant")
    messages = tuple(Message(m["role"], m["content"]) for m in chat[:last])
    made = pair("", chat[last]["content"])
    return Pair(
        id=pair_id(messages, made.response),
        messages=messages,
        response=made.response,
        reference_source="human",
        provenance=made.provenance,
    )


def curated(
    raw: Sequence[Pair],
    train: Sequence[Pair] = (),
    held_out: Sequence[Pair] = (),
    *,
    earlier: Sequence[Pair] = (),
    final: Sequence[Pair] = (),
    settings: CurationSettings = SETTINGS,
    task: TaskSettings | None = None,
    threads: int | None = None,
) -> Curated:
    return curate(
        raw,
        train=TrainSplit(tuple(train)),
        earlier=earlier,
        test=TestSplit(tuple(held_out)),
        final=FinalSplit(tuple(final)),
        settings=settings,
        task=task or TaskSettings(),
        threads=threads,
    )


def verdicts(result: Curated) -> list[tuple[str, str, str | None]]:
    """(step, reason without its brackets, lost to) of every drop."""
    return [(d.step, d.reason.partition(" (")[0], d.lost_to) for d in result.dropped]
