"""Do a job in this process: train, save the weights, say what was measured.

Imports torch: load lazily.
"""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

from torch import distributed
from transformers.utils import logging

from llamaduo.finetuning.adapter import save_adapter, save_whole
from llamaduo.finetuning.training.job import Job
from llamaduo.finetuning.training.state import written
from llamaduo.finetuning.training.trainer import Trained, train
from llamaduo.records import Notify, TrainingFigures
from llamaduo.storage.jsonl import write_record
from llamaduo.tasks.quiet import quiet


def carry_out(job: Job, notify: Notify, *, rank: int = 0) -> TrainingFigures:
    """Train ``job``, from its checkpoint if it names one; the first process saves the weights.

    Raises:
        StageFailed: the loss diverged, or the weights cannot be written.
        Stopped: it was asked to end; a checkpoint is written.
        OutOfMemory: of the device or of this process.
    """
    try:
        with quiet(logging):
            trained = train(job, notify, resume=Path(job.resume) if job.resume else None)
            figures = _figures(job, trained)
            if rank == 0:
                _save(job, trained, figures)
    finally:
        gc.collect()  # the trainer and its model refer to each other; others need the memory
    return figures


def leave_the_others() -> None:
    """Take leave of the processes that the training was shared with, if there were any."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def _save(job: Job, trained: Trained, figures: TrainingFigures) -> None:
    with written("The trained weights", job.into):
        _write_weights(job, trained.model)
        write_record(job.result, figures)


def _write_weights(job: Job, model: Any) -> None:
    """All of them, or an adapter; one that QLoRA put onto an earlier one is joined with it."""
    start, into, seed = job.start, Path(job.into), job.recipe.seed
    if job.recipe.method == "full":
        save_whole(model, into, base=start, cycle=job.cycle, seed=seed)
    else:
        merged = start.adapter if job.recipe.method == "qlora" else None
        onto = Path(merged) if merged else None
        save_adapter(model, into, base=start, cycle=job.cycle, seed=seed, onto=onto)


def _figures(job: Job, trained: Trained) -> TrainingFigures:
    recipe, tally = job.recipe, trained.tally
    return TrainingFigures(
        pairs=job.pairs,
        set_aside=0,
        epochs=recipe.epochs,
        steps=len(trained.losses),
        tokens=tally.tokens,
        seconds=tally.seconds,
        first_loss=trained.losses[0],
        last_loss=trained.losses[-1],
        method=recipe.method,
        loss_tokens=tally.loss_tokens,
        tokens_per_second=tally.tokens / tally.seconds if tally.seconds else 0.0,
        peak_memory_bytes=trained.peak_memory_bytes,
        resumed=job.resumed,
        halved=job.halved,
        validation_pairs=recipe.validation_pairs,
        validation=trained.validation,
        best_step=trained.best_step,
    )
