"""A bundle is whole, says what it is, and is packed again only when something changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from llamaduo.deployment.bundle import Bundle, pack
from llamaduo.records import Checkpoint, Outcome, Scores, Verdict
from llamaduo.storage.atomic import sha256_of
from llamaduo.storage.jsonl import read_record

SCORES = Scores(prompts=4, responses=8, judges={}, panel={}, exact_match=50.0)


def verdict(outcome: Outcome) -> Verdict:
    return Verdict(outcome=outcome, reason="", cycle=1, best_cycle=1, reference_sources=("human",))


@pytest.fixture
def best(tmp_path: Path) -> Checkpoint:
    adapter = tmp_path / "checkpoint"
    adapter.mkdir()
    (adapter / "adapter_model.safetensors").write_bytes(b"weights")
    (adapter / "tokenizer.json").write_text("{}")
    return Checkpoint(model="tiny", base="b", adapter=str(adapter), cycle=1, window=64)


def test_it_holds_the_adapter_and_the_evidence(best: Checkpoint, tmp_path: Path) -> None:
    folder = pack(best, verdict("passed"), SCORES, tmp_path / "bundle")
    bundle = read_record(folder / "bundle.json", Bundle)
    assert bundle.label == "target met"
    assert bundle.model == "tiny"
    assert bundle.scores == SCORES
    for name, expected in bundle.files.items():
        assert sha256_of(folder / name) == expected
    assert sorted(bundle.files) == ["adapter_model.safetensors", "tokenizer.json"]


@pytest.mark.parametrize("outcome", ["stopped", "undecided", "continue"])
def test_a_missed_target_is_on_the_label(
    best: Checkpoint, tmp_path: Path, outcome: Outcome
) -> None:
    folder = pack(best, verdict(outcome), SCORES, tmp_path / "bundle")
    assert read_record(folder / "bundle.json", Bundle).label == "target missed"


def test_the_same_again_touches_nothing_and_a_new_verdict_replaces(
    best: Checkpoint, tmp_path: Path
) -> None:
    folder = pack(best, verdict("stopped"), SCORES, tmp_path / "bundle")
    inode = folder.stat().st_ino
    assert pack(best, verdict("stopped"), SCORES, folder).stat().st_ino == inode
    pack(best, verdict("passed"), SCORES, folder)
    assert read_record(folder / "bundle.json", Bundle).label == "target met"
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
