"""The fine-tuning stage: a train split in, a checkpoint with trained weights out (Section 3.2)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from llamaduo.finetuning.adapter import check_adapter, checkpoint_in
from llamaduo.finetuning.launch import do
from llamaduo.finetuning.models.model_folder import read_tokenizer
from llamaduo.finetuning.recipes.fitting import check_free
from llamaduo.finetuning.recipes.hardware import Machine, this_machine
from llamaduo.finetuning.recipes.recipe import derive, in_words
from llamaduo.finetuning.recipes.sizes import size_of
from llamaduo.finetuning.settings import FinetuningSettings
from llamaduo.finetuning.training.job import (
    CHECKPOINTS,
    Job,
    await_free,
    key_of,
    left_over,
    read_job,
    write_job,
)
from llamaduo.finetuning.training.trackers import check_trackers
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
_ANEW = (
    "begins anew: pairs, settings, base model, machine or version are others than those of the"
    " checkpoint that was left"
)
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
        ExtraMissing: a tracker that the settings name is not installed.
    """
    check_trackers(settings)
    if start.adapter is not None:
        check_adapter(Path(start.adapter))
    tokenizer: Any = read_tokenizer(Path(start.base))
    encoded = [
        encode_pair(tokenizer, pair.messages, pair.response, loss_on=settings.loss_on)
        for pair in train.pairs
    ]
    job = _prepared(encoded, settings, start, cycle, into, notify)
    notify(Event("finetune", 0, None, "recipe", in_words(job.recipe)))
    with _kept_if_useful(job):
        figures = do(job, notify)
    if figures.best_step is not None:
        notify(Event("finetune", figures.steps, None, "notice", _kept(figures, figures.best_step)))
    write_record(into.with_name(RECIPE), read_job(job.path).recipe)
    shutil.rmtree(job.path)
    checkpoint = checkpoint_in(into, start, cycle)
    return checkpoint, replace(figures, set_aside=len(encoded) - job.pairs)


def _kept(figures: TrainingFigures, step: int) -> str:
    """Which weights validation chose, and what it saw of them."""
    best = dict(figures.validation)[step]
    return f"kept the weights of step {step} of {figures.steps}: validation loss {best:.3f}"


def _prepared(
    encoded: Sequence[EncodedPair],
    settings: FinetuningSettings,
    start: Checkpoint,
    cycle: int,
    into: Path,
    notify: Notify,
) -> Job:
    """What an earlier process left of this very job, or a new one with a recipe of its own.

    The recipe is not derived again: it hangs on the memory that is free now, and what is gone
    on with must be what was begun.
    """
    machine, folder = this_machine(), into.with_name(FOLDER)
    key = key_of(encoded, start, _inputs(settings, machine), cycle)
    await_free(folder)
    if (job := left_over(folder, key, start=start, into=into)) is not None:
        return replace(job, recipe=replace(job.recipe, **_beside_the_weights(settings)))
    if any((folder / CHECKPOINTS).glob("step-*")):
        notify(Event("finetune", 0, None, "notice", _ANEW))
    recipe = _derived([_lengths(pair) for pair in encoded], settings, start, machine)
    check_free(recipe.forecast.memory_bytes, machine)
    pairs = [pair for pair in encoded if len(pair) <= recipe.window]
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
    devices = max(1, settings.processes)  # a process of its own has the same steps
    return asked | {
        "processes": devices,
        "machine": [machine.device, machine.name, machine.count],
    }


def _beside_the_weights(settings: FinetuningSettings) -> dict[str, Any]:
    """What may be another when a fine-tuning is gone on with."""
    return {
        "processes": settings.processes,
        "report_to": settings.report_to,
        "save_every_seconds": 60 * settings.save_every_minutes,
    }


def foresee(
    lengths: Sequence[tuple[int, int]], settings: FinetuningSettings, start: Checkpoint
) -> Recipe:
    """The recipe by which :func:`finetune` would train ``start`` here, on pairs of these prompt
    and response tokens: what cannot be trained is said before anything is spent. Memory that
    another program holds now may be free by then.

    Raises:
        StageFailed, ExtraMissing: see :func:`llamaduo.finetuning.recipes.recipe.derive`.
        ModelError: the model has nothing to train, or its adapter is damaged.
    """
    return _derived(lengths, settings, start, this_machine())


def _derived(
    lengths: Sequence[tuple[int, int]],
    settings: FinetuningSettings,
    start: Checkpoint,
    machine: Machine,
) -> Recipe:
    size, adapter = size_of(Path(start.base)), None
    if start.adapter is not None:
        card = check_adapter(Path(start.adapter))
        adapter = (card.lora_rank, card.lora_alpha) if card.lora_rank else None
    return derive(settings, size, lengths, machine, start.window, adapter=adapter)


def _lengths(pair: EncodedPair) -> tuple[int, int]:
    """The tokens that are only read, and those that are learned."""
    learned = len(pair.response) + sum(end - begin for begin, end in pair.earlier)
    return len(pair) - learned, learned


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
