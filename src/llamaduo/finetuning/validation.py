"""Loss on pairs that are not trained on: the best weights are kept, and training ends when they
stay the best. Imports torch: load lazily.

What was found is in a file of the job, so training that goes on in another process goes on with
it. A validation made after the checkpoint that is gone on from is made again, and comes out the
same.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from llamaduo.finetuning import state as files
from llamaduo.records import Event, Notify
from llamaduo.storage.atomic import write_atomic

A_EPOCH = 4
"""Validations in an epoch: an epoch may be all there is."""


class Validation(TrainerCallback):
    """Measures every quarter of an epoch and after the last step.

    ``measure`` gives the mean loss of a response token, the same in every process.
    """

    def __init__(
        self, measure: Callable[[], float], model: Any, folder: Path, patience: int, notify: Notify
    ) -> None:
        self.history: tuple[tuple[int, float], ...] = ()
        self._measure, self._model, self._patience = measure, model, patience
        self._weights, self._record = folder / "best.safetensors", folder / "validation.json"
        self._notify = notify

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
        if state.global_step and self._record.is_file():
            found = json.loads(self._record.read_bytes())
            self.history = tuple((s, loss) for s, loss in found if s <= state.global_step)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        steps = state.max_steps / args.num_train_epochs
        if state.global_step % max(1, round(steps / A_EPOCH)) == 0:
            self._validate(state, first=args.process_index == 0)
            if self._patience and self._since_best() >= self._patience:
                control.should_training_stop = True
        elif state.global_step == state.max_steps:
            self._validate(state, first=args.process_index == 0)

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """Put the best weights back."""
        if self.history and self.best_step != self.history[-1][0]:
            files.load_weights(self._model, self._weights)

    def _validate(self, state: TrainerState, *, first: bool) -> None:
        loss = self._measure()
        self.history = (*self.history, (state.global_step, loss))
        if first and self.best_step == state.global_step:
            files.save_weights(self._model, self._weights)
        if first:
            write_atomic(self._record, json.dumps(self.history))
        detail = f"validation loss {loss:.3f}, the best after step {self.best_step}"
        self._notify(Event("finetune", state.global_step, state.max_steps, "steps", detail))

    def _since_best(self) -> int:
        return sum(step > (self.best_step or 0) for step, _ in self.history)
