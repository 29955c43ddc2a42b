"""Have a job done: in this process, in a child, or in one child for each device.

A child gives all its memory back, and its crash is a record: what the kernel, the disk or a
library does to it is said here by name. When memory runs out, the same steps are made of smaller
micro-batches, from the last checkpoint on. Nothing here imports torch.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from llamaduo import errors
from llamaduo.errors import LlamaduoError, StageFailed
from llamaduo.finetuning.said import Said
from llamaduo.finetuning.training import checkpoints
from llamaduo.finetuning.training.job import STOP, Job, update_job
from llamaduo.records import Event, Notify, Recipe, TrainingFigures
from llamaduo.storage.jsonl import read_record

_SAID = TypeAdapter(Said)
_LAST_LINES = 3
_AGAIN = "Run the same command again: it goes on from"


class OutOfMemory(Exception):
    """The device's memory, or the machine's, did not suffice."""


def do(job: Job, notify: Notify) -> TrainingFigures:
    """Train ``job``, on from its last checkpoint, and leave the weights in their place.

    Raises:
        StageFailed: it crashed, diverged, or does not fit into memory one row at a time.
        LlamaduoError: whatever else the training says.
        KeyboardInterrupt: it was interrupted, and has written a checkpoint.
    """
    while True:
        job = _resuming(job, notify)
        try:
            return _here(job, notify) if job.recipe.processes == 0 else _apart(job, notify)
        except OutOfMemory as error:
            problem = str(error)
        job = _halved(job, problem, notify)


def _resuming(job: Job, notify: Notify) -> Job:
    place = checkpoints.latest(job.checkpoints, job.key)
    job = replace(job, resume=None)
    if place is not None:
        step = checkpoints.step_of(place)
        notify(Event("finetune", step, None, "notice", f"goes on after step {step}"))
        job = replace(job, resume=str(place), resumed=job.resumed + 1)
    update_job(job)
    return job


def _halved(job: Job, problem: str, notify: Notify) -> Job:
    """The same steps made of micro-batches half as large.

    Raises:
        StageFailed: they are of one row already.
    """
    recipe = halve(job.recipe)
    if recipe is None:
        raise StageFailed(
            f"Fine-tuning ran out of memory with one row of {job.recipe.window} tokens at a time:"
            f" {problem}",
            hint=_less_memory(job.recipe),
        )
    words = (
        f"out of memory: rows at once {recipe.micro_batch} instead of {job.recipe.micro_batch},"
        f" {recipe.accumulation} times in a step instead of {job.recipe.accumulation}"
    )
    notify(Event("finetune", 0, None, "warning", words))
    return replace(job, recipe=recipe, halved=job.halved + 1)


def _less_memory(recipe: Recipe) -> str:
    """What is left to try."""
    ways = [
        "activation_checkpointing: true" if not recipe.activation_checkpointing else "",
        "method: qlora" if recipe.method != "qlora" else "",
        f"max_tokens below {recipe.window}",
    ]
    return f"Set finetuning.{', or '.join(filter(None, ways))}; or take a smaller model."


def halve(recipe: Recipe) -> Recipe | None:
    """``recipe`` with micro-batches of at most half the rows and as many rows in a step; None
    where they are of one row."""
    rows = recipe.micro_batch * recipe.accumulation
    for fewer in range(recipe.micro_batch // 2, 0, -1):
        if rows % fewer == 0:
            why = f"memory ran out with {recipe.micro_batch}"
            return replace(
                recipe,
                micro_batch=fewer,
                accumulation=rows // fewer,
                reasons=recipe.reasons | {"micro_batch": why, "accumulation": why},
            )
    return None


# --- in this process ----------------------------------------------------------------------


def _here(job: Job, notify: Notify) -> TrainingFigures:
    from llamaduo.finetuning.training.memory import is_out_of_memory
    from llamaduo.finetuning.training.work import carry_out

    try:
        return carry_out(job, notify)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        problem = str(error)
    # Out of the handler, where the traceback no longer holds the model and its activations.
    raise OutOfMemory(problem)


# --- in others ----------------------------------------------------------------------------


@dataclass(slots=True)
class _Heard:
    """What the children said besides events."""

    began: bool = False
    last: Said | None = None


def _apart(job: Job, notify: Notify) -> TrainingFigures:
    (job.path / STOP).unlink(missing_ok=True)
    job.result.unlink(missing_ok=True)
    heard, kills = _Heard(), _kernel_kills()
    offset = job.log.stat().st_size if job.log.exists() else 0
    with _started(job) as process:
        try:
            _listen(process, heard, notify)
        except KeyboardInterrupt:
            _stop(job, process, heard, notify)
            raise
    if process.returncode == 0 and job.result.is_file():
        return read_record(job.result, TrainingFigures)
    raise _failure(job, process.returncode, heard.last, _tail(job.log, offset), kills)


@contextmanager
def _started(job: Job) -> Iterator[subprocess.Popen[bytes]]:
    """The child, or the launcher of the children, for as long as the block lasts."""
    with job.log.open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own module, no shell
            _command(job),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=_environment(),
            start_new_session=True,  # Ctrl-C is ours to pass on
        )
    assert process.stdin is not None  # noqa: S101 - it was opened as a pipe
    try:
        with process:
            try:
                yield process
            except BaseException:
                process.kill()
                raise
            finally:
                process.stdin.close()  # what ends every child that is still there
    finally:
        process.wait()


def _command(job: Job) -> list[str]:
    child = ["-m", "llamaduo.finetuning.child", job.folder]
    python = [sys.executable, "-P"]
    processes = job.recipe.processes
    if processes == 1:
        return [*python, *child]
    # Everything that a configuration file of the user's could say is said here.
    options = [f"--num_processes={processes}", "--multi_gpu", "--num_machines=1"]
    options += ["--machine_rank=0", "--main_process_port=0", "--mixed_precision=no"]
    options += ["--dynamo_backend=no", "--gpu_ids=all"]
    return [*python, "-m", "accelerate.commands.launch", *options, *child]


def _environment() -> dict[str, str]:
    """This very llamaduo before whatever else the user has on the path, in grandchildren too;
    the working directory is not on it."""
    ours = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [ours, os.environ.get("PYTHONPATH")]))
    return os.environ | {"PYTHONPATH": path, "PYTHONSAFEPATH": "1"}


def _listen(process: subprocess.Popen[bytes], heard: _Heard, notify: Notify) -> None:
    """Relay events until nobody is left to send any."""
    assert process.stdout is not None  # noqa: S101 - it was opened as a pipe
    for line in process.stdout:
        try:
            said = _SAID.validate_json(line)
        except ValidationError:  # a launcher that prints
            continue
        if said.event is None:
            heard.last = heard.last or said
        else:
            heard.began = True
            notify(said.event)


def _stop(job: Job, process: subprocess.Popen[bytes], heard: _Heard, notify: Notify) -> None:
    """Let the step that is under way end, and have a checkpoint written; a second Ctrl-C ends
    it at once. Before the first step there is nothing to keep."""
    if not heard.began:
        return
    (job.path / STOP).touch()
    words = "stopping after this step, with a checkpoint; Ctrl-C again: at once"
    notify(Event("finetune", 0, None, "notice", words))
    _listen(process, heard, notify)


# --- how it ended -------------------------------------------------------------------------


def _failure(job: Job, code: int, said: Said | None, tail: list[str], kills: int) -> Exception:
    if said is not None and said.out_of_memory:
        return OutOfMemory(said.message)
    if said is not None and said.error:
        kind = getattr(errors, said.error, StageFailed)
        failure: LlamaduoError = kind(said.message, hint=said.hint)
        return failure
    if said is not None and said.stopped_after is not None:
        return StageFailed("Fine-tuning was asked to stop.", hint=_next(job))
    killed = code == -signal.SIGKILL or job.recipe.processes > 1  # a launcher has its own code
    if killed and _kernel_kills() > kills:
        return OutOfMemory("the kernel killed the process, because the machine's memory ran out")
    words = [said.message] if said is not None and said.message else tail
    return StageFailed(_crash(code, words), hint=f"{job.log} has all it said. {_next(job)}")


def _crash(code: int, words: list[str]) -> str:
    """What became of the process, and its last words."""
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        how = f"was ended by signal {name}"
    else:
        how = f"ended with exit code {code}"
    last = " Its last words:" + "".join(f"\n  {line}" for line in words) if words else ""
    return f"Fine-tuning failed: its process {how}.{last}"


def _next(job: Job) -> str:
    place = checkpoints.latest(job.checkpoints, job.key)
    where = "the beginning" if place is None else f"step {checkpoints.step_of(place)}"
    return f"{_AGAIN} {where}."


def _tail(log: Path, offset: int) -> list[str]:
    """The last lines that this life added to the log."""
    with log.open("rb") as file:
        file.seek(offset)
        lines = deque((line for line in file if line.strip()), maxlen=_LAST_LINES)
    return [line.decode(errors="replace").rstrip() for line in lines]


def _kernel_kills() -> int:
    """How many processes the kernel has killed for memory, since it started."""
    try:
        counts = Path("/proc/vmstat").read_text(encoding="ascii").split()
    except OSError:  # not Linux
        return 0
    return int(counts[counts.index("oom_kill") + 1]) if "oom_kill" in counts else 0
