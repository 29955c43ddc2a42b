"""Checkpoints to go on from: a folder of files, and a manifest written last with their hashes.

A checkpoint is written beside its place and renamed when it is whole. Only then is the one
before it removed, so at every moment one whole checkpoint is there. Nothing here imports torch:
what the files hold is :mod:`llamaduo.finetuning.training.state`'s.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from llamaduo.errors import RunError
from llamaduo.storage.atomic import sha256_of, sync_file, sync_folder
from llamaduo.storage.jsonl import read_record, write_record

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointManifest:
    """What a checkpoint is of, and the sha256 of each of its files."""

    job: str
    step: int
    files: dict[str, str]


def unsealed(folder: Path, step: int) -> Path:
    """Where the checkpoint of ``step`` is before it is whole."""
    return folder / f".{_name(step)}.writing"


def begin(folder: Path, step: int) -> Path:
    """An empty folder to write the checkpoint of ``step`` into. Nothing is whole until
    :func:`seal`; what an earlier process left half-written is removed."""
    for path in folder.glob(".step-*"):
        shutil.rmtree(path)
    place = unsealed(folder, step)
    place.mkdir(parents=True)
    return place


def seal(folder: Path, step: int, job: str) -> Path:
    """Make what :func:`begin` gave the checkpoint of ``step``, and remove those before it."""
    written, place = unsealed(folder, step), folder / _name(step)
    files = {}
    for file in sorted(written.iterdir()):
        sync_file(file)
        files[file.name] = sha256_of(file)
    write_record(written / MANIFEST, CheckpointManifest(job=job, step=step, files=files))
    shutil.rmtree(place, ignore_errors=True)
    written.rename(place)
    sync_folder(folder)
    for path in folder.glob("step-*"):
        if path != place:
            shutil.rmtree(path)
    return place


def give_up(folder: Path, step: int) -> None:
    """Remove what :func:`begin` gave, and the space it takes."""
    shutil.rmtree(unsealed(folder, step), ignore_errors=True)


def latest(folder: Path, job: str) -> Path | None:
    """The last whole checkpoint of ``job`` in ``folder``, every file as it was written."""
    for path in sorted(folder.glob("step-*"), reverse=True):
        if _is_whole(path, job):
            return path
    return None


def step_of(checkpoint: Path) -> int:
    """The optimizer steps that were done when ``checkpoint`` was written."""
    return read_record(checkpoint / MANIFEST, CheckpointManifest).step


def _is_whole(path: Path, job: str) -> bool:
    try:
        manifest = read_record(path / MANIFEST, CheckpointManifest)
    except RunError:
        return False
    return manifest.job == job and all(
        (path / name).is_file() and sha256_of(path / name) == digest
        for name, digest in manifest.files.items()
    )


def _name(step: int) -> str:
    return f"step-{step:08d}"
