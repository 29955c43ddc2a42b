"""How far a training is, said at every step: loss, speed, memory, time left.

Imports transformers: load lazily.
"""

from __future__ import annotations

import math
import resource
import sys
import time
from dataclasses import dataclass
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from llamaduo.errors import StageFailed
from llamaduo.finetuning.recipes.recipe import duration
from llamaduo.records import Event, Notify

VALIDATION_LOSS = "eval_loss"
"""What transformers and the trackers call it in a log."""
_GIGABYTE = 1e9


@dataclass(slots=True)
class Tally:
    """What a device has gone through, before the training was interrupted included."""

    tokens: int = 0
    """Prompt and response tokens seen."""
    loss_tokens: int = 0
    """Response tokens trained on."""
    seconds: float = 0.0
    """Since the first step began, validations and checkpoints included."""


class Progress(TrainerCallback):
    """One event for each optimizer step; a loss that is not a number ends the training.

    The speed is of the steps of this process. The first is left out of it: it prepares what the
    others use.
    """

    def __init__(self, notify: Notify, tally: Tally, *, devices: int = 1) -> None:
        self._notify, self._tally, self._devices = notify, tally, devices
        self._last = 0.0
        self._validation: float | None = None
        self._first: tuple[float, int, int] | None = None  # time, step and tokens after it

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self._last = time.monotonic()

    def on_log(
        self,
        args: TrainingArguments,  # noqa: ARG002  # the signature is transformers'
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        **event: Any,
    ) -> None:
        loss = event["logs"].get("loss")
        self._validation = event["logs"].get(VALIDATION_LOSS, self._validation)
        if loss is None:  # a validation, or the summary after the last step
            return
        if not math.isfinite(loss):
            raise StageFailed(
                f"Fine-tuning diverged: the loss of step {state.global_step} is {loss}.",
                hint="Lower finetuning.learning_rate.",
            )
        self._count_time()
        detail = in_words(loss, self._speed(), peak_memory(), self._left(state), self._validation)
        self._notify(Event("finetune", state.global_step, state.max_steps, "steps", detail))

    def _count_time(self) -> None:
        now = time.monotonic()
        self._tally.seconds += now - self._last
        self._last = now

    def _speed(self) -> float | None:
        """Tokens a second, as if all devices were like this one."""
        if self._first is None or self._last == self._first[0]:
            return None
        return self._devices * (self._tally.tokens - self._first[2]) / (self._last - self._first[0])

    def _left(self, state: TrainerState) -> float | None:
        if self._first is None:
            self._first = (self._last, state.global_step, self._tally.tokens)
            return None
        begun, step, _ = self._first
        pace = (self._last - begun) / (state.global_step - step)
        return pace * (state.max_steps - state.global_step)


def in_words(
    loss: float,
    tokens_per_second: float | None,
    memory: int,
    seconds_left: float | None,
    validation: float | None = None,
) -> str:
    """``loss 0.512, validation loss 0.631, 203 tokens/s, 1.9 GB, 12 min left``, less what is not
    known yet."""
    parts = [f"loss {loss:.3f}"]
    if validation is not None:
        parts.append(f"validation loss {validation:.3f}")
    if tokens_per_second is not None:
        parts.append(f"{tokens_per_second:,.0f} tokens/s")
    parts.append(f"{memory / _GIGABYTE:.1f} GB")
    if seconds_left is not None:
        parts.append(f"{duration(seconds_left)} left")
    return ", ".join(parts)


def peak_memory() -> int:
    """Bytes at most so far: of the GPU where there is one, else of this process."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes if sys.platform == "darwin" else kilobytes * 1024


def losses_of(state: TrainerState) -> tuple[float, ...]:
    """The loss of every step, those before the training was interrupted included."""
    return tuple(float(row["loss"]) for row in state.log_history if "loss" in row)
