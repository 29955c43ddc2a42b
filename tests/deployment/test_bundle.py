"""A bundle is whole or not there, and is opened only if it is what it says."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from llamaduo.deployment.bundle import (
    Bundle,
    Generation,
    building,
    held,
    open_bundle,
    seal,
)
from llamaduo.errors import BundleError
from llamaduo.records import Scores, Verdict
from llamaduo.storage.jsonl import write_record

BUNDLE = Bundle(
    name="triage",
    form="adapter",
    dtype="float32",
    label="target met",
    model="tiny",
    fingerprint="f1",
    cycle=1,
    window=64,
    generation=Generation(temperature=0.7, top_p=0.95, max_new_tokens=8),
    verdict=Verdict(
        outcome="passed", reason="", cycle=1, best_cycle=1, reference_sources=("human",)
    ),
    scores=Scores(prompts=4, responses=8, judges={}, panel={}, free={}),
    rehearsed=False,
    service="openai-chat:gpt-4o",
    judges=("openai-chat:gpt-4o",),
)


def pack(into: Path, bundle: Bundle = BUNDLE, weights: bytes = b"weights") -> Path:
    with building(into) as folder:
        (folder / "adapter_model.safetensors").write_bytes(weights)
        (folder / "tokenizer.json").write_text("{}")
        seal(folder, bundle, "# Triage\n", into)
    return into


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    return pack(tmp_path / "bundle")


def test_what_was_packed_is_opened_again(packed: Path) -> None:
    bundle = open_bundle(packed)
    assert replace(bundle, files={}) == BUNDLE
    assert sorted(bundle.files) == ["README.md", "adapter_model.safetensors", "tokenizer.json"]
    assert {p.name for p in packed.iterdir()} == {*bundle.files, "bundle.json"}


def test_a_new_bundle_takes_the_place_of_the_old_and_leaves_nothing_beside_it(packed: Path) -> None:
    pack(packed, replace(BUNDLE, form="merged"), b"other")
    assert open_bundle(packed).form == "merged"
    assert [p.name for p in packed.parent.iterdir()] == ["bundle"]


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_no_folder_gives_way_to_a_bundle(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "run" / "bundle"
    place.parent.mkdir()
    other = pack(tmp_path / "elsewhere", weights=b"other")
    place.write_text("x") if kind == "file" else place.symlink_to(other)
    pack(place)
    assert not place.is_symlink()
    assert (place / "adapter_model.safetensors").read_bytes() == b"weights"
    assert (open_bundle(other).form, [p.name for p in place.parent.iterdir()]) == (
        "adapter",
        ["bundle"],
    )


def test_what_fails_while_it_is_built_leaves_the_bundle_before_it(packed: Path) -> None:
    def fail() -> None:
        with building(packed) as folder:
            (folder / "model.safetensors").write_bytes(b"half")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        fail()
    assert open_bundle(packed).form == "adapter"
    assert [p.name for p in packed.parent.iterdir()] == ["bundle"]


def test_what_a_killed_process_was_building_is_removed(packed: Path) -> None:
    left = packed.parent / ".bundle-killed"
    left.mkdir()
    (left / "half").write_text("x")
    with building(packed):
        assert not left.exists()


@pytest.mark.parametrize("use", ["build", "look"])
def test_the_old_bundle_is_back_if_a_process_was_killed_between_the_two_moves(
    packed: Path, use: str
) -> None:
    for left in (".bundle-new", ".bundle-replaced-empty", ".bundle-replaced-killed"):
        (packed.parent / left).mkdir()
    packed.rename(packed.parent / ".bundle-replaced-killed" / "bundle")
    if use == "look":
        assert held(packed, BUNDLE)
    with building(packed):
        assert open_bundle(packed).form == "adapter"
    assert [p.name for p in packed.parent.iterdir()] == ["bundle"]


def test_the_same_model_counts_as_held_in_whatever_form(packed: Path) -> None:
    assert held(packed, replace(BUNDLE, form="merged", versions={"torch": "9"}))
    assert held(packed, replace(BUNDLE, label="other"))
    assert not held(packed, replace(BUNDLE, cycle=2))
    assert not held(packed, replace(BUNDLE, fingerprint="f2"))
    (packed / "tokenizer.json").write_text("spoilt")
    assert not held(packed, BUNDLE)
    assert not held(packed.parent / "none", BUNDLE)


def test_the_evidence_is_the_verdict_and_its_target_too() -> None:
    assert BUNDLE.same_evidence(replace(BUNDLE, form="merged"))
    assert not BUNDLE.same_evidence(replace(BUNDLE, target=("precision mean score 90",)))
    assert not BUNDLE.same_evidence(
        replace(BUNDLE, verdict=replace(BUNDLE.verdict, reason="another"))
    )


# --- what is refused ----------------------------------------------------------------------


def change_weights(folder: Path) -> None:
    (folder / "adapter_model.safetensors").write_bytes(b"Weights")


def remove_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def add_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"more")


def add_pickle(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")


def hide_pickle(folder: Path) -> None:
    (folder / ".cache").mkdir()
    (folder / ".cache" / "optimizer.PT").write_bytes(b"\x80\x04.")


def write_other_version(folder: Path) -> None:
    text = (folder / "bundle.json").read_text().replace('"format": 3', '"format": 4', 1)
    (folder / "bundle.json").write_text(text)


def write_first_version(folder: Path) -> None:
    (folder / "bundle.json").write_text('{"format": 1, "label": "target met"}')


def tear_manifest(folder: Path) -> None:
    (folder / "bundle.json").write_text('{"format":')


def leave_folder(folder: Path) -> None:
    bundle = open_bundle(folder)
    write_record(
        folder / "bundle.json", replace(bundle, files={**bundle.files, "../../etc/passwd": "0"})
    )


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (change_weights, "adapter_model.safetensors was changed"),
        (remove_tokenizer, "tokenizer.json is missing"),
        (add_weights, "model.safetensors is not part of the bundle"),
        (add_pickle, "pytorch_model.bin may be a pickle"),
        (hide_pickle, "optimizer.PT may be a pickle"),
        (write_other_version, "is of bundle format 4"),
        (write_first_version, "is of bundle format 1"),
        (tear_manifest, "bundle.json is not a"),
        (leave_folder, "not a file's name"),
        (shutil.rmtree, "is not a bundle"),
    ],
)
def test_a_spoilt_bundle_is_refused_with_what_is_wrong(
    packed: Path, spoil: Callable[[Path], None], named: str
) -> None:
    spoil(packed)
    with pytest.raises(BundleError, match=named) as refused:
        open_bundle(packed)
    assert refused.value.hint
    assert refused.value.exit_code == 2


def test_names_alone_can_be_checked_when_the_weights_are_large(packed: Path) -> None:
    change_weights(packed)
    assert open_bundle(packed, check_files=False).name == "triage"
    remove_tokenizer(packed)
    with pytest.raises(BundleError, match="missing"):
        open_bundle(packed, check_files=False)
