"""The run directory: ``runs/NAME/``, where everything of a run has its place.

Other programs rely on these names; a change needs a note in CHANGELOG.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from llamaduo.errors import RunError, UsageError
from llamaduo.storage.atomic import write_atomic
from llamaduo.storage.jsonl import write_record
from llamaduo.storage.lock import locked
from llamaduo.storage.manifest import FORMAT, Manifest, read_manifest

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """The places within one run."""

    root: Path

    @property
    def configuration(self) -> Path:
        return self.root / "run.yaml"

    @property
    def manifest(self) -> Path:
        return self.root / "manifest.json"

    @property
    def ledger(self) -> Path:
        return self.root / "ledger.sqlite"

    @property
    def redaction(self) -> Path:
        """Values and their stand-ins: for the owner's eyes alone, and never sent anywhere."""
        return self.root / "redaction.jsonl"

    @property
    def coverage(self) -> Path:
        return self.root / "coverage"

    @property
    def verdict(self) -> Path:
        return self.root / "verdict.json"

    @property
    def bundle(self) -> Path:
        return self.root / "bundle"

    @property
    def report(self) -> Path:
        return self.root / "report"

    def cycle(self, cycle: int) -> Path:
        return self.root / "cycles" / f"{cycle:03d}"


def run_directory(runs: Path, name: str) -> RunDirectory:
    """The directory of the run ``name`` within ``runs``, whether it exists or not.

    Raises:
        UsageError: the name could leave the folder or is hard to type.
    """
    if not re.match(NAME_PATTERN, name):
        raise UsageError(
            f"{name!r} cannot be the name of a run.",
            hint="Use up to 64 letters, digits, '.', '_' and '-', starting with a letter or digit.",
        )
    return RunDirectory(runs / name)


@contextmanager
def opened(directory: RunDirectory, version: str, configuration: str) -> Iterator[Manifest]:
    """Own the run while the block runs; create it, with its ``run.yaml``, when it is new.

    Raises:
        RunLocked: another process owns it.
        RunIncompatible: another version wrote it.
        RunError: there is a folder of that name which is not a run.
    """
    root = directory.root
    if root.exists() and not directory.manifest.is_file() and _has_strangers(root):
        raise RunError(
            f"{root} exists and is not a run: it has no manifest.json.",
            hint="Choose another name with --name, or move the folder away.",
        )
    root.mkdir(parents=True, exist_ok=True)
    with locked(root):
        if not directory.manifest.is_file():
            write_atomic(directory.configuration, configuration)
            write_record(directory.manifest, Manifest(FORMAT, version))
        yield read_manifest(directory.manifest)


def _has_strangers(root: Path) -> bool:
    """Whether ``root`` holds more than a crash while it was created can have left."""
    return any(p.name != "run.yaml" and not p.name.startswith(".") for p in root.iterdir())
