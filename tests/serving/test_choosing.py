"""Bundles that are not served, and why; and which engine serves the others."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from llamaduo.deployment.bundle import (
    CARD,
    MANIFEST,
    add_files,
    building,
    files_of,
    open_bundle,
    seal,
)
from llamaduo.errors import BundleError, ModelError, UsageError
from llamaduo.records import InferenceFigures
from llamaduo.serving.choosing import choose_bundles, unheld
from llamaduo.serving.loading import Capacity, loaded
from tests.serving.made import adapter_bundle


@pytest.fixture
def copy(bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle, tmp_path / "copy"))


def test_a_bundle_a_run_and_a_name(bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(bundle, tmp_path / "run" / "bundle")
    chosen = choose_bundles([str(bundle), f"mine={tmp_path / 'run'}"], "transformers", None)
    assert [(one.name, one.gguf) for one in chosen] == [("tiny", None), ("mine", None)]
    assert chosen[1].folder == tmp_path / "run" / "bundle"


def test_the_engine_is_chosen_by_what_there_is(bundle: Path, copy: Path) -> None:
    gguf = bundle / "model-F16.gguf"
    assert choose_bundles([str(bundle)], "auto", None)[0].gguf == gguf
    assert choose_bundles([str(bundle)], "auto", "F16")[0].gguf == gguf
    assert choose_bundles([str(bundle)], "transformers", None)[0].gguf is None
    with pytest.raises(UsageError, match="Q8_0"):
        choose_bundles([str(bundle)], "auto", "Q8_0")
    with pytest.raises(UsageError, match="--gguf"):
        choose_bundles([str(bundle)], "transformers", "F16")


def test_the_faster_gguf_file_comes_first(bundle: Path, tmp_path: Path) -> None:
    both = tmp_path / "both"
    with building(both) as folder:
        sources = {n: p for n, p in files_of(bundle).items() if n not in (CARD, MANIFEST)}
        add_files(sources, folder)
        (folder / "model-Q8_0.gguf").write_bytes(b"another")
        seal(folder, open_bundle(bundle), "# Tiny\n", both)
    assert choose_bundles([str(both)], "auto", None)[0].gguf == both / "model-Q8_0.gguf"
    assert choose_bundles([str(both)], "auto", "F16")[0].gguf == both / "model-F16.gguf"


def test_without_a_gguf_file_there_is_transformers(base: Path, tmp_path: Path) -> None:
    folder = adapter_bundle(base, tmp_path / "adapter", "one", seed=1)
    assert choose_bundles([str(folder)], "auto", None)[0].gguf is None
    with pytest.raises(UsageError, match=r"no model-Q8_0\.gguf") as caught:
        choose_bundles([str(folder)], "xllamacpp", None)
    assert "llamaduo deploy" in caught.value.hint


def test_two_of_one_name(bundle: Path, copy: Path) -> None:
    with pytest.raises(UsageError, match="called tiny") as caught:
        choose_bundles([str(bundle), str(copy)], "auto", None)
    assert "NAME=" in caught.value.hint
    with pytest.raises(UsageError, match="no name for a model"):
        choose_bundles([f" ={bundle}"], "auto", None)


def test_what_is_no_bundle(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "missing"):
        with pytest.raises(BundleError, match="not a bundle"):
            choose_bundles([str(place)], "auto", None)


def test_a_changed_file(copy: Path) -> None:
    with (copy / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x01")
    with pytest.raises(BundleError, match=r"model\.safetensors was changed"):
        choose_bundles([str(copy)], "auto", None)


def test_a_pickle_inside(copy: Path) -> None:
    (copy / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(BundleError, match="pickle"):
        choose_bundles([str(copy)], "auto", None)


def test_an_unknown_version(copy: Path) -> None:
    manifest = copy / "bundle.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": 99}))
    with pytest.raises(BundleError, match="format 99"):
        choose_bundles([str(copy)], "auto", None)


def test_a_base_that_is_missing_or_another_one(base: Path, tmp_path: Path) -> None:
    mine = Path(shutil.copytree(base, tmp_path / "base"))
    chosen = choose_bundles(
        [str(adapter_bundle(mine, tmp_path / "adapter", "one", seed=1))], "auto", None
    )
    config = mine / "config.json"
    config.write_text(config.read_text() + "\n")
    with (
        pytest.raises(ModelError, match="fingerprint") as caught,
        loaded(chosen, Capacity(), tmp_path),
    ):
        pass
    assert "merged" in caught.value.hint
    shutil.rmtree(mine)
    with (
        pytest.raises(ModelError, match="needs its base model") as caught,
        loaded(chosen, Capacity(), tmp_path),
    ):
        pass
    assert "merged" in caught.value.hint


def test_what_was_judged_under_a_schema_and_will_not_be_served_so_is_told_of(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (plain,) = choose_bundles([str(bundle)], "transformers", None)
    speed = InferenceFigures(
        prompts=1,
        responses=1,
        too_long=0,
        new_tokens=1,
        seconds=1.0,
        p50_seconds=1.0,
        p95_seconds=1.0,
        constrained=1,
    )
    verdict = replace(plain.bundle.verdict, inference=speed)
    judged = replace(plain, bundle=replace(plain.bundle, verdict=verdict))
    with monkeypatch.context() as without:
        without.setattr(sys, "path", [])  # nothing that is not imported yet can be
        for name in [name for name in sys.modules if name.startswith("llguidance")]:
            without.delitem(sys.modules, name)
        without.setattr(sys, "path_importer_cache", {})
        assert unheld([judged, plain]) == (judged.name,)
        assert unheld([replace(judged, gguf=bundle / "model-F16.gguf")]) == ()
    if importlib.util.find_spec("llguidance") is not None:
        assert unheld([judged]) == ()
