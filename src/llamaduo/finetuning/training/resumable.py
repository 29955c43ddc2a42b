"""A Trainer that can be killed at any moment and goes on exactly. Imports torch: load lazily.

transformers' own checkpoints are pickles, are not whole when the process dies while they are
written, and forget in which order the rows of a later epoch come; here every hook that writes or
reads one is replaced, and the training loop stays theirs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import distributed
from transformers import (
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from llamaduo.finetuning.training import checkpoints, state
from llamaduo.finetuning.training.job import STOP, Job, Stopped
from llamaduo.finetuning.training.order import StepOrder
from llamaduo.finetuning.training.progress import Tally
from llamaduo.records import Event, Notify
from llamaduo.storage.atomic import write_atomic

TRAINER_STATE = "trainer_state.json"
_NOTHING, _SAVE, _STOP = 0, 1, 2


class Resumable(Trainer):
    """Writes checkpoints of a job and goes on from one, to the last bit on the same machine.

    ``tally`` is for the trainer's loss to count tokens in; it goes on counting after a resume,
    and is of all devices together once :meth:`train` is done.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        self.tally = Tally()
        self._job: Job | None = None
        self._saving: _Saving | None = None
        super().__init__(*args, **options)

    def keep(self, job: Job, notify: Notify) -> None:
        """Write checkpoints of ``job`` while training, as often as its recipe says."""
        self._job, self._notify = job, notify
        self._saving = _Saving(job)
        self.add_callback(self._saving)

    @property
    def _network(self) -> Any:
        """The model, for sure: transformers allows for one that is made later."""
        return self.model

    # --- the order of the rows --------------------------------------------------------------

    def _get_train_sampler(self, train_dataset: Any = None) -> StepOrder:
        rows: Any = self.train_dataset if train_dataset is None else train_dataset
        args = self.args
        together = args.train_batch_size * args.world_size
        per_step = together * args.gradient_accumulation_steps
        steps = max(1, -(-len(rows) // per_step))
        return StepOrder(
            rows.lengths,
            per_step,
            seed=args.seed,
            epoch=lambda: self.state.global_step // steps,
            together=together if args.world_size > 1 else 1,
        )

    # --- writing ----------------------------------------------------------------------------

    def _save_checkpoint(self, model: Any, trial: Any) -> None:  # noqa: ARG002  # theirs
        """Write a checkpoint, or go on without: a full disk does not end hours of work."""
        assert self._job is not None  # noqa: S101 - keep() made the callback that leads here
        folder, step = self._job.checkpoints, self.state.global_step
        problem = self._write_checkpoint(self._job, step)
        if problem and self.is_world_process_zero():
            checkpoints.give_up(folder, step)
            self._notify(Event("finetune", step, None, "warning", _unsaved(step, problem, folder)))

    def _write_checkpoint(self, job: Job, step: int) -> str:
        """Every process writes its random states, the first one all the rest. What went wrong,
        which all of them learn: none may wait for one that has given up."""
        first = self.is_world_process_zero()
        place = checkpoints.unsealed(job.checkpoints, step)
        problem = _tried(lambda: checkpoints.begin(job.checkpoints, step)) if first else ""
        if _any(problem):
            return problem
        problem = _tried(lambda: self._write_own(place))
        if _any(problem):
            return problem or "another process could not write"
        return _tried(lambda: self._write_shared(job, step, place)) if first else ""

    def _write_own(self, place: Path) -> None:
        """What each process has for itself."""
        state.save_random(place, self.args.process_index)
        write_atomic(self._tally_in(place), json.dumps(asdict(self.tally)))

    def _write_shared(self, job: Job, step: int, place: Path) -> None:
        """What is the same in every process."""
        state.save_weights(self._network, place / state.WEIGHTS)
        state.save_optimizer(self.optimizer, self._network, place)
        state.save_schedule(self.lr_scheduler, place)
        self.state.save_to_json(str(place / TRAINER_STATE))
        checkpoints.seal(job.checkpoints, step, job.key)

    # --- going on ---------------------------------------------------------------------------

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:  # noqa: ARG002
        folder = Path(resume_from_checkpoint)
        state.load_weights(self._network, folder / state.WEIGHTS)
        for name, value in json.loads(self._tally_in(folder).read_bytes()).items():
            setattr(self.tally, name, value)  # in place: whoever counts keeps counting

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            state.load_optimizer(self.optimizer, self._network, Path(checkpoint))
            state.load_schedule(self.lr_scheduler, Path(checkpoint))

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            state.load_random(Path(checkpoint), self.args.process_index)

    def _tally_in(self, checkpoint: Path) -> Path:
        return checkpoint / f"tally-{self.args.process_index}.json"

    # --- being stopped ----------------------------------------------------------------------

    def train(self, *args: Any, **options: Any) -> Any:
        """As transformers', but a training that was asked to end does not look finished.

        Raises:
            Stopped: it was asked to; a checkpoint of the last step is written.
        """
        output = super().train(*args, **options)
        if self._saving is not None and self._saving.stopped:
            raise Stopped(self.state.global_step)
        self.tally.tokens = _sum(self.tally.tokens)
        self.tally.loss_tokens = _sum(self.tally.loss_tokens)
        return output


class _Saving(TrainerCallback):
    """Asks for a checkpoint when it is time, or when the training is to end. The first process
    decides for all: they write together."""

    def __init__(self, job: Job) -> None:
        self.stopped = False
        self._every, self._stop = job.recipe.save_every_seconds, job.path / STOP
        self._last = time.monotonic()

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,  # noqa: ARG002  # the signature is transformers'
        control: TrainerControl,
        **_: Any,
    ) -> None:
        wish = _from_the_first(self._wish() if args.process_index == 0 else _NOTHING)
        if wish == _NOTHING or control.should_training_stop:  # the last step needs no checkpoint
            return
        control.should_save = True
        control.should_training_stop = self.stopped = wish == _STOP

    def on_save(self, *_: Any, **__: Any) -> None:
        self._last = time.monotonic()

    def _wish(self) -> int:
        if self._stop.exists():
            return _STOP
        due = self._every and time.monotonic() - self._last >= self._every
        return _SAVE if due else _NOTHING


# --- several processes --------------------------------------------------------------------


def _from_the_first(value: int) -> int:
    """What the first process says, in all of them."""
    if not distributed.is_initialized():
        return value
    said = torch.tensor(value, device=_device())
    distributed.broadcast(said, 0)
    return int(said.item())


def _any(problem: str) -> bool:
    """Whether any process has a problem."""
    return bool(most(int(bool(problem))))


def most(value: int) -> int:
    """The largest that any process has. All of them ask together."""
    return _reduced(value, distributed.ReduceOp.MAX)


def _sum(value: int) -> int:
    """Of what all processes have."""
    return _reduced(value, distributed.ReduceOp.SUM)


def _reduced(value: int, how: Any) -> int:
    if not distributed.is_initialized():
        return value
    said = torch.tensor(value, device=_device())
    distributed.all_reduce(said, how)
    return int(said.item())


def _device() -> str:
    return "cuda" if distributed.get_backend() == "nccl" else "cpu"


# --- words --------------------------------------------------------------------------------


def _tried(action: Callable[[], object]) -> str:
    """What the operating system has against ``action``, or nothing."""
    try:
        action()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _unsaved(step: int, problem: str, folder: Path) -> str:
    return (
        f"the checkpoint of step {step} could not be written to {folder}: {problem}. Training goes"
        " on; the checkpoint before it is kept. Free some space."
    )
