"""The bundle: the best checkpoint, ready to be taken away, with the evidence beside it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from llamaduo.errors import RunError
from llamaduo.records import Checkpoint, Scores, Verdict
from llamaduo.storage.atomic import sha256_of, sync_file, sync_folder
from llamaduo.storage.jsonl import read_record, write_record

MANIFEST = "bundle.json"
FROM_THE_BASE = (
    "added_tokens.json",
    "chat_template.jinja",
    "generation_config.json",
    "merges.txt",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
)
"""What turns a prompt into tokens and an answer into text, as far as a base model has it."""
_BUILDING = ".bundle-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """``bundle.json``: what is in the bundle and what it was judged to be.

    ``label`` is "target met" or "target missed"; ``model`` is the base model that the adapter
    needs, by the name it was configured with, and ``fingerprint`` tells its files from others
    of that name. ``files`` has the sha256 of every other file.
    """

    format: int
    label: str
    model: str
    fingerprint: str = ""
    cycle: int | None
    verdict: Verdict
    scores: Scores
    files: dict[str, str]


def pack(best: Checkpoint, verdict: Verdict, scores: Scores, into: Path) -> Path:
    """Copy the adapter of ``best`` and its tokenizer into ``into``, with ``bundle.json``.

    The bundle is whole or not there: it is built beside ``into`` and moved into place. One
    that holds the same already, file by file, is left alone. The run is locked while this
    goes on, so what else was being built beside ``into`` is of a run that was killed.
    """
    sources = _sources(best)
    bundle = Bundle(
        format=1,
        label="target met" if verdict.outcome == "passed" else "target missed",
        model=best.model,
        fingerprint=best.fingerprint,
        cycle=best.cycle,
        verdict=verdict,
        scores=scores,
        files={name: sha256_of(path) for name, path in sources.items()},
    )
    into.parent.mkdir(parents=True, exist_ok=True)
    for leftover in into.parent.glob(f"{_BUILDING}*"):
        shutil.rmtree(leftover)
    if not _holds(into, bundle):
        _build(bundle, sources, into)
    return into


def _sources(best: Checkpoint) -> dict[str, Path]:
    """The files to copy, by name: the adapter's, and the base model's that it answers with."""
    base = Path(best.base)
    if best.adapter is None:
        return _files_of(base)
    needed = {name: base / name for name in FROM_THE_BASE if (base / name).is_file()}
    return dict(sorted((needed | _files_of(Path(best.adapter))).items()))


def _files_of(folder: Path) -> dict[str, Path]:
    return {path.name: path for path in sorted(folder.iterdir()) if path.is_file()}


def _holds(folder: Path, bundle: Bundle) -> bool:
    """Whether ``folder`` is this bundle, with every file as it was packed."""
    try:
        same = read_record(folder / MANIFEST, Bundle) == bundle
    except RunError:  # missing, or damaged: it is packed again
        return False
    return same and all(
        (folder / name).is_file() and sha256_of(folder / name) == digest
        for name, digest in bundle.files.items()
    )


def _build(bundle: Bundle, sources: Mapping[str, Path], into: Path) -> None:
    building = Path(tempfile.mkdtemp(prefix=_BUILDING, dir=into.parent))
    try:
        for name, source in sources.items():
            shutil.copyfile(source, building / name)
            (building / name).chmod(0o644)
            sync_file(building / name)
        write_record(building / MANIFEST, bundle)  # makes all the names durable, too
        building.chmod(0o755)
        if into.exists():
            shutil.rmtree(into)
        building.replace(into)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    sync_folder(into.parent)
