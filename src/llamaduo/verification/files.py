"""Whether every file is the one that its stage wrote, and the bundle the one that was judged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from llamaduo import __version__
from llamaduo.errors import RunError
from llamaduo.records import Parity, SplitFigures
from llamaduo.storage.atomic import sha256_of
from llamaduo.verification.checks import Finding, different_fields, plain
from llamaduo.verification.records import Records

_LEAVES = {
    "import": ("accepted.jsonl", "import.json"),
    "split": ("train.jsonl", "test.jsonl", "final.jsonl", "split.json"),
    "finetune": ("training.json",),
    "infer": ("responses.jsonl", "inference.json"),
    "answer": ("responses.jsonl",),
    "judge": (
        *("controls.jsonl", "judgements.jsonl", "unscored.jsonl"),
        *("scores.json", "breakdown.json", "judges.json"),
    ),
    "synthesize": ("raw.jsonl", "synthesis.json"),
    "curate": ("synthetic.jsonl", "dropped.jsonl", "curation.json"),
}
"""What the manifest must have a hash of, so that dropping a name hides nothing."""
_MAY_LEAVE = {
    "judge": ("comparisons.jsonl", "uncompared.jsonl"),
    "curate": ("portrait.json",),
}
"""What is not always written: where the file is there, its hash must be."""
_WEIGHTS = frozenset({".safetensors", ".gguf", ".bin", ".pt", ".pth", ".pkl", ".ckpt"})


def hashes(records: Records, finding: Finding) -> None:
    """Every hash of the manifest, and that no file of a stage is without one."""
    for stage, finished in records.manifest.stages.items():
        _compare(finding, records.root, finished.files, f"stage {stage}")
        names = {PurePosixPath(name).name for name in finished.files}
        where, _, kind = stage.rpartition("/")
        optional = (n for n in _MAY_LEAVE.get(kind, ()) if (records.root / where / n).exists())
        for name in (*_LEAVES.get(kind, ()), *optional):
            if name not in names:
                finding.differ(f"manifest.json has no hash of {name}, which stage {stage} writes")
    if records.manifest.version != __version__:
        finding.notes.append(
            f"The run was begun by llamaduo {records.manifest.version}; this is {__version__}."
        )


def _compare(finding: Finding, folder: Path, hashes: Mapping[str, str], owner: str) -> None:
    for name, expected in hashes.items():
        path = folder / name
        if not _is_within(folder, path):
            finding.expect(False, f"{name} of {owner} is outside the run")
        elif not path.is_file():
            finding.expect(False, f"{name} of {owner} is missing")
        else:
            finding.expect(sha256_of(path) == expected, f"{name} is not the file that {owner} left")


def _is_within(folder: Path, path: Path) -> bool:
    """A damaged manifest must not make us read files of elsewhere."""
    return path.resolve().is_relative_to(folder.resolve())


# --- the bundle ---------------------------------------------------------------------------


def bundle(records: Records, finding: Finding) -> None:
    """The bundle's files, and that its evidence is the run's."""
    folder = records.directory.bundle
    found = _read(folder / "bundle.json")
    files = found.get("files")
    if not isinstance(files, dict) or not files:
        raise RunError(f"{folder / 'bundle.json'} lists no files.")
    _compare(finding, folder, files, "the bundle")
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.suffix in _WEIGHTS and name not in files:
            finding.differ(f"{name} is in the bundle, but bundle.json has no hash of it")
    _compare_evidence(records, finding, found)


def _read(path: Path) -> dict[str, Any]:
    """As plain JSON: a bundle of another version has a verdict and hashes, too."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path} cannot be read: {error}.") from error
    if not isinstance(found, dict):
        raise RunError(f"{path} is not a bundle's list.")
    return found


_OWN_HASH = (
    "The model's files have hashes of bundle.json's own: only `llamaduo deploy --check` tells"
    " whether they answer like the model that was judged."
)


def _compare_evidence(records: Records, finding: Finding, found: Mapping[str, Any]) -> None:
    verdict = records.verdict
    if verdict is None:
        finding.notes.append("The run has no verdict now, so the bundle's was not compared.")
        return
    _same(finding, "verdict", found.get("verdict"), plain(verdict))
    words = {"passed": "target met", "undecided": "undecided"}
    _same(finding, "label", found.get("label"), words.get(verdict.outcome, "target missed"))
    _same(finding, "cycle", found.get("cycle"), verdict.best_cycle)
    best = f"cycles/{verdict.best_cycle:03d}"
    _same(finding, "scores", found.get("scores"), plain(records.scores(best)))
    others = {
        "final": f"final/{verdict.best_cycle:03d}",
        "ceiling": "service",
        "ceiling_final": "service-final",
    }
    for name, where in others.items():
        if found.get(name) is not None and records.is_finished(f"{where}/judge"):
            _same(finding, name, found[name], plain(records.scores(where)))
    _compare_sources(records, finding, found)
    _compare_adapter(records, finding, found["files"], f"{best}/checkpoint")


def _compare_sources(records: Records, finding: Finding, found: Mapping[str, Any]) -> None:
    """Rehearsed or not, seeds, data and parity, as far as the bundle's version names them."""
    if "rehearsed" in found:
        _same(finding, "rehearsed", found["rehearsed"], records.rehearsed)
    for name, seed in _read_map(found, "seeds").items():
        section = getattr(records.config, name, None)
        _same(finding, f"seeds.{name}", seed, getattr(section, "seed", None))
    hashes = {
        name: digest
        for finished in records.manifest.stages.values()
        for name, digest in finished.files.items()
    }
    if records.is_finished("split"):
        hashes["split"] = records.one("coverage/split.json", SplitFigures).sha256
    for name, digest in _read_map(found, "data").items():
        _same(finding, f"data.{name}", digest, hashes.get(name))
    path = records.root / "parity.json"
    kept = plain(records.one("parity.json", Parity)) if path.exists() else None
    if found.get("parity") is not None and found["parity"] != kept:
        finding.notes.append("Its parity is not the one in parity.json, so it was not checked.")


def _read_map(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = found.get(name, {})
    if not isinstance(value, dict):
        raise RunError(f"bundle.json, {name}: not a list of names and values.")
    return value


def _same(finding: Finding, name: str, recorded: Any, derived: Any) -> None:
    for words in different_fields(recorded, derived):
        finding.differ(f"bundle.json, {name}: {words.replace('derived again it', 'the run')}")


def _compare_adapter(
    records: Records, finding: Finding, files: Mapping[str, str], checkpoint: str
) -> None:
    """An adapter is packed as it was judged; merged weights have a hash of their own."""
    packed = files.get("adapter_model.safetensors")
    judged = {
        digest
        for finished in records.manifest.stages.values()
        for name, digest in finished.files.items()
        if name == f"{checkpoint}/adapter_model.safetensors"
    }
    if packed and judged:
        finding.require(packed in judged, f"the bundle's adapter is not that of {checkpoint}")
    if not packed or any(name.endswith(".gguf") for name in files):
        finding.notes.append(_OWN_HASH)
