"""A bundle is whole, says what it is, and is packed again only when something changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from llamaduo.deployment.bundle import Bundle, pack
from llamaduo.records import Checkpoint, Outcome, Scores, Verdict
from llamaduo.storage.atomic import sha256_of
from llamaduo.storage.jsonl import read_record
from tests.tiny_llama import build_tiny_llama

SCORES = Scores(prompts=4, responses=8, judges={}, panel={}, exact_match=50.0)


def verdict(outcome: Outcome) -> Verdict:
    return Verdict(outcome=outcome, reason="", cycle=1, best_cycle=1, reference_sources=("human",))


@pytest.fixture
def best(tmp_path: Path) -> Checkpoint:
    adapter = tmp_path / "checkpoint"
    adapter.mkdir()
    (adapter / "adapter_model.safetensors").write_bytes(b"weights")
    base = tmp_path / "base"
    base.mkdir()
    for name in ("tokenizer.json", "chat_template.jinja", "generation_config.json"):
        (base / name).write_text(name)
    for name in ("model.safetensors", "README.md"):  # not for the bundle
        (base / name).write_text(name)
    return Checkpoint(
        model="tiny", base=str(base), adapter=str(adapter), cycle=1, window=64, fingerprint="f1"
    )


def test_it_holds_the_adapter_its_tokenizer_and_the_evidence(
    best: Checkpoint, tmp_path: Path
) -> None:
    folder = pack(best, verdict("passed"), SCORES, tmp_path / "bundle")
    bundle = read_record(folder / "bundle.json", Bundle)
    assert bundle.label == "target met"
    assert (bundle.model, bundle.fingerprint) == ("tiny", "f1")
    assert bundle.scores == SCORES
    for name, expected in bundle.files.items():
        assert sha256_of(folder / name) == expected
    assert sorted(bundle.files) == [
        "adapter_model.safetensors",
        "chat_template.jinja",
        "generation_config.json",
        "tokenizer.json",
    ]
    assert sorted([*bundle.files, "bundle.json"]) == sorted(p.name for p in folder.iterdir())


def test_the_bundled_tokenizer_is_the_base_models(tmp_path: Path) -> None:
    from llamaduo.finetuning.model_folder import read_tokenizer
    from llamaduo.records import Message
    from llamaduo.tasks.chat import encode_prompt

    base = build_tiny_llama(tmp_path / "base")
    (tmp_path / "adapter").mkdir()
    tiny = Checkpoint(
        model="tiny", base=str(base), adapter=str(tmp_path / "adapter"), cycle=0, window=256
    )
    folder = pack(tiny, verdict("passed"), SCORES, tmp_path / "bundle")
    prompt = [Message("user", "The parcel has not arrived.")]
    bundled, original = (encode_prompt(read_tokenizer(f), prompt) for f in (folder, base))
    assert bundled == original


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


@pytest.mark.parametrize("spoil", ["change", "remove", "tear the manifest"])
def test_a_spoiled_bundle_is_packed_again(best: Checkpoint, tmp_path: Path, spoil: str) -> None:
    folder = pack(best, verdict("passed"), SCORES, tmp_path / "bundle")
    if spoil == "change":
        (folder / "adapter_model.safetensors").write_bytes(b"other")
    elif spoil == "remove":
        (folder / "tokenizer.json").unlink()
    else:
        (folder / "bundle.json").write_text('{"format":')
    pack(best, verdict("passed"), SCORES, folder)
    bundle = read_record(folder / "bundle.json", Bundle)
    assert {name: sha256_of(folder / name) for name in bundle.files} == bundle.files
    assert (folder / "adapter_model.safetensors").read_bytes() == b"weights"


def test_what_a_killed_run_was_building_is_removed(best: Checkpoint, tmp_path: Path) -> None:
    folder = pack(best, verdict("passed"), SCORES, tmp_path / "bundle")
    (tmp_path / ".bundle-killed").mkdir()
    (tmp_path / ".bundle-killed" / "half").write_text("x")
    pack(best, verdict("passed"), SCORES, folder)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
