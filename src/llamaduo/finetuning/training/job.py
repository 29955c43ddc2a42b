"""One fine-tuning as a folder: everything that a process needs to do it, or to go on with it.

``cycles/NNN/.training/`` holds ``pairs.jsonl`` (token ids), ``job.json``, written last, and what
the training leaves there: checkpoints, its log, its result. The folder is removed when the
weights are in their place. Nothing here imports torch.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from llamaduo.errors import RunError, RunLocked
from llamaduo.finetuning.adapter import check_adapter
from llamaduo.finetuning.models.fingerprint import fingerprint_of
from llamaduo.records import Checkpoint, Recipe
from llamaduo.storage.atomic import sha256_of
from llamaduo.storage.jsonl import read_record, read_records, write_record, write_records
from llamaduo.storage.lock import is_locked
from llamaduo.tasks.chat import EncodedPair

JOB, PAIRS, LOG, RESULT = "job.json", "pairs.jsonl", "training.log", "result.json"
CHECKPOINTS, BEST = "checkpoints", "best.safetensors"
STOP = "stop"
"""A file of this name in a job's folder asks its training to write a checkpoint and end."""
_PATIENCE = 30.0
"""Seconds."""
_ROOM = Path(__file__).parents[1]
"""All of its code may decide what comes out."""
_LIBRARIES = ("torch", "transformers", "peft", "accelerate", "bitsandbytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A fine-tuning that is to be done, or is under way.

    ``key`` stands for all that decides the weights which come out: what another key began is
    never gone on with. ``resume`` is the checkpoint to go on from, ``resumed`` how often that
    was done, ``halved`` how often memory ran out.
    """

    key: str
    folder: str
    start: Checkpoint
    recipe: Recipe
    cycle: int
    pairs: int
    into: str
    resume: str | None = None
    resumed: int = 0
    halved: int = 0

    @property
    def path(self) -> Path:
        return Path(self.folder)

    @property
    def checkpoints(self) -> Path:
        return self.path / CHECKPOINTS

    @property
    def log(self) -> Path:
        return self.path / LOG

    @property
    def result(self) -> Path:
        return self.path / RESULT

    def read_pairs(self) -> tuple[EncodedPair, ...]:
        return read_records(self.path / PAIRS, EncodedPair)


class Stopped(Exception):
    """The training was asked to end, and has written a checkpoint of ``step``."""

    def __init__(self, step: int) -> None:
        super().__init__(f"stopped after step {step}")
        self.step = step


def await_free(folder: Path) -> None:
    """Wait until no training is in ``folder``: one whose parent was killed ends soon after it.

    Raises:
        RunLocked: it does not end.
    """
    end = time.monotonic() + _PATIENCE
    while is_locked(folder):
        if time.monotonic() > end:
            raise RunLocked(
                f"A fine-tuning is still at work in {folder}, though nobody waits for it.",
                hint="End that process, or wait until it ends; then run the same command again.",
            )
        time.sleep(0.1)


def write_job(job: Job, pairs: Sequence[EncodedPair]) -> None:
    """Make the folder of ``job`` anew, with its pairs; ``job.json`` is written last."""
    shutil.rmtree(job.path, ignore_errors=True)
    job.path.mkdir(parents=True)
    write_records(job.path / PAIRS, pairs)
    update_job(job)


def update_job(job: Job) -> None:
    write_record(job.path / JOB, job)


def read_job(folder: Path) -> Job:
    """The job in ``folder``.

    Raises:
        RunError: there is none.
    """
    return read_record(folder / JOB, Job)


def left_over(folder: Path, key: str, *, start: Checkpoint, into: Path) -> Job | None:
    """What an earlier process left of the job ``key``, to go on with; None if there is nothing,
    or it is of another job. The run may lie elsewhere now: the paths are today's."""
    try:
        job = read_job(folder)
    except RunError:
        return None
    if job.key != key or not (folder / PAIRS).is_file():
        return None
    return replace(job, folder=str(folder), start=start, into=str(into))


def key_of(
    pairs: Sequence[EncodedPair], start: Checkpoint, settings: Mapping[str, Any], cycle: int
) -> str:
    """What decides the weights that come out, as 64 hex digits: data, base, adapter, settings,
    this code and the libraries. Not: where the files lie, or what is only said or saved."""
    parts = {
        "pairs": _digest(*(repr((pair.prompt, pair.response, pair.earlier)) for pair in pairs)),
        "base": fingerprint_of(Path(start.base)),
        "adapter": start.adapter and check_adapter(Path(start.adapter)).weights_sha256,
        "window": start.window,
        "settings": settings,
        "cycle": cycle,
        "code": {str(path.relative_to(_ROOM)): sha256_of(path) for path in _ROOM.rglob("*.py")},
        "libraries": {name: _version(name) for name in _LIBRARIES},
    }
    return _digest(json.dumps(parts, sort_keys=True, default=str))


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _digest(*texts: str) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(f"{len(text)}\n{text}".encode())
    return digest.hexdigest()
