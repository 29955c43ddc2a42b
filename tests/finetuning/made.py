"""Pairs for the tests of this room."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llamaduo.finetuning.models.obtain import obtain
from llamaduo.finetuning.settings import FinetuningSettings, LocalSettings
from llamaduo.records import Checkpoint, Message, Pair, Provenance, TrainSplit, pair_id


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


def checkpoint_of(folder: Path) -> Checkpoint:
    """The base model in ``folder``."""
    return obtain(LocalSettings(model=str(folder)), cache=folder / "unused")


HUNDRED_STEPS = FinetuningSettings(
    method="lora",
    epochs=5,
    batch_size=4,
    learning_rate=5e-3,
    lora_rank=8,
    lora_alpha=16,
    lora_dropout=0.05,
    packing=False,
    processes=0,
    save_every_minutes=0.1 / 60,
)
"""For 80 pairs; random numbers are drawn at every step, and a checkpoint is written now and
then."""


def trained_weights(into: Path) -> dict[str, Any]:
    """The tensors of the adapter, or of the whole model, in ``into``."""
    from safetensors.torch import load_file

    (path,) = into.glob("*.safetensors")
    return dict(load_file(path))


def assert_same_weights(one: Path, other: Path, within: float = 1e-6) -> None:
    """Whether two trainings left the same, to a difference of ``within`` in any number."""
    mine, theirs = trained_weights(one), trained_weights(other)
    assert mine.keys() == theirs.keys()
    furthest = max(float((mine[name] - theirs[name]).abs().max()) for name in mine)
    assert furthest <= within
