"""Loss on pairs that are not trained on: the best weights are kept, and training ends when they
stay the best. Imports torch: load lazily.

What was found is in the trainer's log, which checkpoints keep: training that goes on in another
process knows the validations up to there, makes the later ones again, and finds the same.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from llamaduo.finetuning.training import state as files
from llamaduo.finetuning.training.progress import VALIDATION_LOSS

A_EPOCH = 4
"""Validations in an epoch: an epoch may be all there is."""


class Validation(TrainerCallback):
    """Measures every quarter of an epoch and after the last step.

    ``measure`` gives the mean loss of a response token, the same in every process; ``log`` is
    the trainer's.
    """

    def __init__(
        self,
        measure: Callable[[], float],
        log: Callable[[dict[str, float]], None],
        model: Any,
        best: Path,
        patience: int,
    ) -> None:
        self.history: tuple[tuple[int, float], ...] = ()
        """Step and loss, of every validation."""
        self._measure, self._log, self._patience = measure, log, patience
        self._model, self._best = model, best

    @property
    def best_step(self) -> int | None:
        return min(self.history, key=lambda each: each[1])[0] if self.history else None

    def on_train_begin(
        self,
        args: TrainingArguments,  # noqa: ARG002  # the signature is transformers'
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        **_: Any,
    ) -> None:
        self.history = _history(state)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        steps = state.max_steps / args.num_train_epochs
        due = state.global_step % max(1, round(steps / A_EPOCH)) == 0
        if not due and state.global_step != state.max_steps:
            return
        self._validate(state, first=args.process_index == 0)
        control.should_log = True  # the step itself is still to be logged
        if self._patience and self._since_best() >= self._patience:
            control.should_training_stop = True

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """Put the best weights back."""
        if self.history and self.best_step != self.history[-1][0]:
            files.load_weights(self._model, self._best)

    def _validate(self, state: TrainerState, *, first: bool) -> None:
        self._log({VALIDATION_LOSS: self._measure()})
        self.history = _history(state)
        if first and self.best_step == state.global_step:
            with files.written("The best weights so far", self._best):
                files.save_weights(self._model, self._best)

    def _since_best(self) -> int:
        return sum(step > (self.best_step or 0) for step, _ in self.history)


def _history(state: TrainerState) -> tuple[tuple[int, float], ...]:
    rows = (row for row in state.log_history if VALIDATION_LOSS in row)
    return tuple((int(row["step"]), row[VALIDATION_LOSS]) for row in rows)
