"""The fine-tuning stage: a train split in, a checkpoint with a LoRA adapter out (Section 3.2)."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from llamaduo.errors import StageFailed
from llamaduo.finetuning.adapter import check_adapter, save_adapter
from llamaduo.finetuning.model_folder import read_tokenizer
from llamaduo.finetuning.settings import FinetuningSettings
from llamaduo.records import Checkpoint, Notify, Pair, TrainingFigures, TrainSplit, silent
from llamaduo.tasks.chat import EncodedPair, encode_pair
from llamaduo.tasks.quiet import quiet


def finetune(
    train: TrainSplit,
    settings: FinetuningSettings,
    *,
    start: Checkpoint,
    cycle: int,
    into: Path,
    notify: Notify = silent,
) -> tuple[Checkpoint, TrainingFigures]:
    """Fine-tune ``start`` on ``train`` and save the adapter into ``into``.

    The loss is on the response only, in the model's own chat template. An adapter that
    ``start`` has is trained on, with the rank it has; else a new one begins. The same input
    and seed give the same weights on the same CPU. Pairs of more than
    ``settings.max_tokens`` tokens, or than the model's window, are set aside and counted.

    Raises:
        StageFailed: no pair is left to train on, the loss diverged, or memory ran out.
        ModelError: the adapter of ``start`` is damaged.
    """
    if start.adapter is not None:
        check_adapter(Path(start.adapter))
    tokenizer = read_tokenizer(Path(start.base))
    pairs = _that_fit(train.pairs, tokenizer, min(settings.max_tokens, start.window))
    try:
        figures = _train_and_save(pairs, tokenizer, settings, start, cycle, into, notify)
    finally:
        gc.collect()  # the trainer and its model refer to each other; inference needs the memory
    checkpoint = replace(start, adapter=str(into), cycle=cycle)
    return checkpoint, replace(figures, set_aside=len(train.pairs) - len(pairs))


def _that_fit(pairs: Sequence[Pair], tokenizer: Any, longest: int) -> list[EncodedPair]:
    encoded = [encode_pair(tokenizer, pair.messages, pair.response) for pair in pairs]
    fitting = [pair for pair in encoded if len(pair) <= longest]
    if not fitting:
        raise StageFailed(
            f"None of the {len(pairs)} pairs to train on fits into {longest} tokens"
            f" (the shortest has {min(map(len, encoded), default=0)}).",
            hint="Raise finetuning.max_tokens, use a model with a larger window, or shorten the"
            " prompts.",
        )
    return fitting


def _train_and_save(
    pairs: Sequence[EncodedPair],
    tokenizer: Any,
    settings: FinetuningSettings,
    start: Checkpoint,
    cycle: int,
    into: Path,
    notify: Notify,
) -> TrainingFigures:
    from transformers.utils import logging

    from llamaduo.finetuning.trainer import train_adapter

    begun = time.monotonic()
    with quiet(logging):
        trained = train_adapter(start, pairs, tokenizer, settings, notify)
        save_adapter(trained.model, into, base=start, cycle=cycle, seed=settings.seed)
    return TrainingFigures(
        pairs=len(pairs),
        set_aside=0,
        epochs=settings.epochs,
        steps=len(trained.losses),
        tokens=trained.tokens,
        seconds=time.monotonic() - begun,
        first_loss=trained.losses[0],
        last_loss=trained.losses[-1],
    )
