"""The list of finished stages of a run, with the hash of every file each one wrote.

A stage is marked last, after its files are on disk, so what the manifest names is whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from llamaduo.errors import RunError, RunIncompatible
from llamaduo.storage.atomic import sha256_of
from llamaduo.storage.jsonl import read_record, write_record

FORMAT = 2
"""Changes when a run written before can no longer be read."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished stage: when, and the sha256 of each of its files by path within the run."""

    at: str
    files: dict[str, str]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What ``manifest.json`` holds."""

    format: int
    version: str
    stages: dict[str, Finished] = field(default_factory=dict)


def read_manifest(path: Path) -> Manifest:
    """Read and check the format.

    Raises:
        RunIncompatible: the run was written by a llamaduo with another format.
    """
    manifest = read_record(path, Manifest)
    if manifest.format != FORMAT:
        raise RunIncompatible(
            f"{path.parent} was written by llamaduo {manifest.version} in run format"
            f" {manifest.format}; this version reads format {FORMAT}.",
            hint=f"Install llamaduo {manifest.version} to go on with it, or start a new run"
            " with --name.",
        )
    return manifest


def mark_finished(manifest: Manifest, run: Path, stage: str, files: Iterable[Path]) -> Manifest:
    """Add ``stage`` and write the manifest. Folders count with every file in them."""
    hashes = {
        str(file.relative_to(run)): sha256_of(file) for path in files for file in _files_of(path)
    }
    now = datetime.now(UTC).isoformat(timespec="seconds")
    marked = replace(manifest, stages={**manifest.stages, stage: Finished(now, hashes)})
    write_record(run / "manifest.json", marked)
    return marked


def check_unchanged(finished: Finished, run: Path, stage: str) -> None:
    """Check the files of a finished stage against their hashes.

    Raises:
        RunError: a file is missing or was changed.
    """
    for name, expected in finished.files.items():
        path = run / name
        what = "is missing" if not path.is_file() else "was changed"
        if not path.is_file() or sha256_of(path) != expected:
            raise RunError(
                f"{path} {what} since stage {stage!r} wrote it.",
                hint="Restore the file, or start a new run with --name.",
            )


def _files_of(path: Path) -> list[Path]:
    return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
