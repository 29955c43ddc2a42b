"""The bundle: the best checkpoint, ready to be taken away, with the evidence beside it."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from llamaduo.records import Checkpoint, Scores, Verdict
from llamaduo.storage.atomic import sha256_of, sync_folder
from llamaduo.storage.jsonl import read_record, write_record


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """``bundle.json``: what is in the bundle and what it was judged to be.

    ``label`` is "target met" or "target missed"; ``model`` is the base model that the adapter
    needs, by the name it was configured with.
    """

    format: int
    label: str
    model: str
    cycle: int | None
    verdict: Verdict
    scores: Scores
    files: dict[str, str]


def pack(best: Checkpoint, verdict: Verdict, scores: Scores, into: Path) -> Path:
    """Copy the adapter of ``best`` and its tokenizer into ``into``, with ``bundle.json``.

    The bundle is whole or not there: it is built beside ``into`` and moved into place. One
    that holds the same already is left alone.
    """
    source = Path(best.adapter or best.base)
    files = {p.name: sha256_of(p) for p in sorted(source.iterdir()) if p.is_file()}
    bundle = Bundle(
        format=1,
        label="target met" if verdict.outcome == "passed" else "target missed",
        model=best.model,
        cycle=best.cycle,
        verdict=verdict,
        scores=scores,
        files=files,
    )
    manifest = into / "bundle.json"
    if manifest.is_file() and read_record(manifest, Bundle) == bundle:
        return into
    into.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=".bundle-", dir=into.parent))
    try:
        for name in files:
            shutil.copy2(source / name, building / name)
        write_record(building / "bundle.json", bundle)
        building.chmod(0o755)
        if into.exists():
            shutil.rmtree(into)
        building.replace(into)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    sync_folder(into.parent)
    return into
