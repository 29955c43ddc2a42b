"""Recipes and jobs for tests of the training itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llamaduo.finetuning.models.model_folder import read_tokenizer
from llamaduo.finetuning.training.job import Job, write_job
from llamaduo.records import Checkpoint, Forecast, Pair, Recipe
from llamaduo.tasks.chat import EncodedPair, encode_pair
from llamaduo.tasks.quiet import quiet

_PLAIN: dict[str, Any] = {
    "method": "lora",
    "dtype": "float32",
    "epochs": 1.0,
    "learning_rate": 5e-3,
    "warmup": 0.1,
    "window": 256,
    "packing": True,
    "micro_batch": 1,
    "accumulation": 1,
    "lora_rank": 4,
    "lora_alpha": 8,
    "lora_dropout": 0.0,
    "activation_checkpointing": False,
    "attention": "sdpa",
    "liger": False,
    "validation_pairs": 0,
    "patience": 0,
    "save_every_seconds": 0.0,
    "processes": 0,
    "report_to": (),
    "seed": 0,
    "reasons": {},
    "forecast": Forecast(seconds=1.0, memory_bytes=1, tokens=1, steps=1),
}


def recipe(**changes: Any) -> Recipe:
    return Recipe(**(_PLAIN | changes))


def encoded(start: Checkpoint, pairs: Sequence[Pair]) -> list[EncodedPair]:
    tokenizer = read_tokenizer(Path(start.base))
    return [encode_pair(tokenizer, pair.messages, pair.response) for pair in pairs]


def loaded(start: Checkpoint, scratch: Path, **changes: Any) -> Any:
    """The model as a recipe trains it."""
    from transformers.utils import logging

    from llamaduo.finetuning.training.loading import load_for_training

    with quiet(logging):
        return load_for_training(start, recipe(**changes), scratch)


def job(start: Checkpoint, pairs: Sequence[EncodedPair], into: Path, **changes: Any) -> Job:
    """A job that is ready to be done, beside where its weights are to be."""
    made = Job(
        key="of a test",
        folder=str(into.with_name(".training")),
        start=start,
        recipe=recipe(**changes),
        cycle=0,
        pairs=len(pairs),
        into=str(into),
    )
    write_job(made, pairs)
    return made
