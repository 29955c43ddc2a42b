"""How fast this machine fine-tunes and answers: a few steps with the real model and real pairs.

A training step sees pairs of about median length, so that all steps are alike; the first one,
which warms up, does not count. Nothing of the probe is kept.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

from llamaduo.config import Config
from llamaduo.errors import ModelError
from llamaduo.finetuning.settings import FinetuningSettings
from llamaduo.records import (
    Checkpoint,
    Event,
    Notify,
    Pair,
    Recipe,
    Split,
    TrainSplit,
    silent,
)
from llamaduo.remaining import TokenCounter
from llamaduo.reporting.local_work import Speed

STEPS = 3
SECONDS = 10.0
"""How long the training part goes on, the first step and one that is under way aside."""
NEW_TOKENS = 32
PROMPTS = 4
LOOKED_AT = 500
"""Pairs of which the lengths are counted."""


@dataclass(frozen=True, slots=True)
class Probed:
    """The speed of this machine, and how the local LLM counts."""

    speed: Speed
    count: TokenCounter


def probe(
    config: Config, split: Split, *, cache: Path, root: Path, notify: Notify = silent
) -> Probed:
    """Measure this machine with the local LLM of ``config`` and pairs of ``split``: well under
    a minute with a model that is meant for it.

    Raises:
        ModelError: the model is not on this machine (it is not downloaded for a probe), or
            unsuitable.
        ExtraMissing: torch and transformers are not installed.
        StageFailed: memory ran out, or no pair fits.
    """
    from llamaduo.finetuning.models.obtain import is_at_hand, obtain, token_counter

    if not is_at_hand(config.local, cache, root):
        raise ModelError(
            f"{config.local.model} is not on this machine yet.",
            hint="The run downloads it; then `llamaduo estimate` can measure how fast it is.",
        )
    base = obtain(config.local, cache, root)
    count = token_counter(base)
    with TemporaryDirectory() as scratch:
        bench = _Bench(config, base, count, Path(scratch), notify)
        training = _training_speed(bench, split.train.pairs)
        writing = _writing_speed(bench, split.test.pairs)
    return Probed(Speed(training, writing, "probe"), count)


@dataclass(frozen=True, slots=True)
class _Bench:
    """What both parts of the probe work with."""

    config: Config
    base: Checkpoint
    count: TokenCounter
    scratch: Path
    notify: Notify


def _training_speed(bench: _Bench, train: Sequence[Pair]) -> float:
    """Tokens a second, of prompts and responses, on all devices together."""
    from llamaduo.finetuning.finetune import finetune, foresee

    settings = bench.config.finetuning
    lengths = [bench.count(pair) for pair in train[:LOOKED_AT]]
    recipe = foresee(list(islice(cycle(lengths), len(train))), settings, bench.base)
    mean = max(1.0, fmean(map(sum, lengths)))
    pairs_in_a_row = recipe.window / mean if recipe.packing else 1.0
    number = math.ceil(STEPS * recipe.rows_of_a_device * pairs_in_a_row)
    few = _median(train, bench.count, recipe.window, number)
    watch = _Watch(bench.notify)
    # The same pair again is as much work as another one.
    pairs = tuple(islice(cycle(few), number))
    with suppress(_Enough):  # steps that take long are measure enough
        finetune(
            TrainSplit(pairs),
            _as_in(recipe, settings),
            start=bench.base,
            cycle=0,
            into=bench.scratch / "adapter",
            notify=watch.see,
        )
    tokens_in_a_step = sum(sum(bench.count(pair)) for pair in pairs) / watch.steps
    return tokens_in_a_step * watch.steps_per_second * max(1, settings.processes)


_AS_FOR_ALL = (
    *("method", "packing", "micro_batch", "activation_checkpointing", "learning_rate"),
    *("lora_rank", "lora_alpha"),
)
"""What would be chosen otherwise for a few pairs than for all."""


def _as_in(recipe: Recipe, settings: FinetuningSettings) -> FinetuningSettings:
    """Settings by which a few pairs are trained here like all of them are by ``recipe``, on one
    device and in this process."""
    rows = recipe.rows_of_a_device
    step = {
        "batch_size": None if recipe.packing else rows,
        "batch_tokens": rows * recipe.window if recipe.packing else None,
    }
    same = {name: getattr(recipe, name) for name in _AS_FOR_ALL}
    alone = {"processes": 0, "validation_fraction": 0.0, "patience": None, "report_to": ()}
    short = {"max_tokens": recipe.window, "epochs": 1.0, "save_every_minutes": 0.0}
    return settings.model_copy(update=step | same | alone | short)


def _writing_speed(bench: _Bench, test: Sequence[Pair]) -> float:
    """New tokens a second, the reading of the prompts included."""
    from llamaduo.inference.infer import infer

    most = min(NEW_TOKENS, bench.config.inference.max_new_tokens or NEW_TOKENS)
    _, figures = infer(
        bench.base,
        _median(test, bench.count, bench.base.window - most, PROMPTS),
        bench.config.inference,
        max_new_tokens=most,
        into=bench.scratch / "answers.jsonl",
        stage="probe: infer",
        notify=bench.notify,
    )
    return figures.tokens_per_second


def _median(pairs: Sequence[Pair], count: TokenCounter, window: int, number: int) -> Sequence[Pair]:
    """``number`` of the pairs that fit ``window``, those in the middle by length. All of them,
    too long as they are, where none fits: then the stage says so in its own words."""
    fitting = sorted(
        (pair for pair in pairs[:LOOKED_AT] if sum(count(pair)) <= window),
        key=lambda pair: sum(count(pair)),
    )
    start = max(0, (len(fitting) - number) // 2)
    return fitting[start : start + number] or pairs[:number]


class _Enough(Exception):
    """The probe has measured long enough."""


@dataclass(slots=True)
class _Watch:
    """Times the steps of a fine-tune and ends it when it goes on for too long."""

    notify: Notify
    times: list[float] = field(default_factory=list)
    steps: int = STEPS

    def see(self, event: Event) -> None:
        if event.unit == "recipe":  # of a training that is none
            return
        self.notify(replace(event, stage="probe: finetune"))
        if event.unit == "steps":
            self.steps = event.total or STEPS
            self.times.append(time.monotonic())
            if len(self.times) > 1 and self.times[-1] - self.times[0] > SECONDS:
                raise _Enough

    @property
    def steps_per_second(self) -> float:
        taken = self.times[-1] - self.times[0]
        return (len(self.times) - 1) / max(taken, 1e-6)
