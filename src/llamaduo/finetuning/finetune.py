"""The fine-tuning stage: a train split in, a checkpoint with trained weights out (Section 3.2)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from llamaduo.errors import StageFailed
from llamaduo.finetuning.adapter import check_adapter, checkpoint_in
from llamaduo.finetuning.hardware import Machine, this_machine
from llamaduo.finetuning.job import Job, key_of, left_over, read_job, write_job
from llamaduo.finetuning.launch import do
from llamaduo.finetuning.model_folder import read_tokenizer
from llamaduo.finetuning.recipe import derive, in_words
from llamaduo.finetuning.settings import FinetuningSettings
from llamaduo.finetuning.sizes import size_of
from llamaduo.records import (
    Checkpoint,
    Event,
    Notify,
    Recipe,
    TrainingFigures,
    TrainSplit,
    silent,
)
from llamaduo.storage.jsonl import write_record
from llamaduo.tasks.chat import EncodedPair, encode_pair

FOLDER, RECIPE = ".training", "recipe.json"
_MEANS_NOTHING_TO_WEIGHTS = {"report_to", "save_every_minutes"}


def finetune(
    train: TrainSplit,
    settings: FinetuningSettings,
    *,
    start: Checkpoint,
    cycle: int,
    into: Path,
    notify: Notify = silent,
) -> tuple[Checkpoint, TrainingFigures]:
    """Fine-tune ``start`` on ``train`` and save the weights into ``into``, the recipe beside it.

    The loss is on the response only, in the model's own chat template. An adapter that
    ``start`` has is trained on, with the rank it has; else a new one begins. The same input
    and seed give the same weights on the same machine. Pairs of more tokens than the recipe's
    window, which is never more than the model's, are set aside and counted.

    A fine-tuning that was cut off goes on from its last checkpoint, and ends as if it had not
    been, unless data, settings, model or code have changed since.

    Raises:
        StageFailed: no pair is left to train on, the loss diverged, memory ran out, or the
            process died; what it had reached is kept where that can be gone on from.
        ModelError: the adapter of ``start`` is damaged.
    """
    if start.adapter is not None:
        check_adapter(Path(start.adapter))
    tokenizer: Any = read_tokenizer(Path(start.base))
    encoded = [
        encode_pair(tokenizer, pair.messages, pair.response, loss_on=settings.loss_on)
        for pair in train.pairs
    ]
    job = _prepared(encoded, settings, start, cycle, into)
    notify(Event("finetune", 0, None, "recipe", in_words(job.recipe)))
    with _kept_if_useful(job):
        figures = do(job, notify)
    write_record(into.with_name(RECIPE), read_job(job.path).recipe)
    shutil.rmtree(job.path)
    checkpoint = checkpoint_in(into, start, cycle)
    return checkpoint, replace(figures, set_aside=len(encoded) - job.pairs)


def _prepared(
    encoded: Sequence[EncodedPair],
    settings: FinetuningSettings,
    start: Checkpoint,
    cycle: int,
    into: Path,
) -> Job:
    """What an earlier process left of this very job, or a new one with a recipe of its own.

    The recipe is not derived again: it hangs on the memory that is free now, and what is gone
    on with must be what was begun.
    """
    machine, folder = this_machine(), into.with_name(FOLDER)
    key = key_of(encoded, start, _inputs(settings, machine), cycle)
    if (job := left_over(folder, key, start=start, into=into)) is not None:
        return job
    _that_fit(encoded, min(settings.max_tokens or start.window, start.window))
    recipe = _derived(encoded, settings, start, machine)
    pairs = _that_fit(encoded, recipe.window)
    job = Job(
        key=key,
        folder=str(folder),
        start=start,
        recipe=recipe,
        cycle=cycle,
        pairs=len(pairs),
        into=str(into),
    )
    write_job(job, pairs)
    return job


def _inputs(settings: FinetuningSettings, machine: Machine) -> dict[str, Any]:
    asked = settings.model_dump(mode="json", exclude=_MEANS_NOTHING_TO_WEIGHTS)
    return asked | {"machine": [machine.device, machine.name, machine.count]}


def _derived(
    encoded: Sequence[EncodedPair],
    settings: FinetuningSettings,
    start: Checkpoint,
    machine: Machine,
) -> Recipe:
    lengths = [(len(pair.prompt), len(pair.response)) for pair in encoded]
    size, adapter = size_of(Path(start.base)), None
    if start.adapter is not None:
        card = check_adapter(Path(start.adapter))
        adapter = (card.lora_rank, card.lora_alpha) if card.lora_rank else None
    return derive(settings, size, lengths, machine, start.window, adapter=adapter)


def _that_fit(encoded: Sequence[EncodedPair], longest: int) -> list[EncodedPair]:
    fitting = [pair for pair in encoded if len(pair) <= longest]
    if not fitting:
        raise StageFailed(
            f"None of the {len(encoded)} pairs to train on fits into {longest} tokens"
            f" (the shortest has {min(map(len, encoded), default=0)}).",
            hint="Raise finetuning.max_tokens, use a model with a larger window, or shorten the"
            " prompts.",
        )
    return fitting


@contextmanager
def _kept_if_useful(job: Job) -> Iterator[None]:
    """After a failure, keep the job's folder where there is something to go on from, or to
    read."""
    try:
        yield
    except BaseException:
        spoke = job.log.is_file() and job.log.stat().st_size
        if not spoke and not any(job.checkpoints.glob("step-*")):
            shutil.rmtree(job.path, ignore_errors=True)
        raise
