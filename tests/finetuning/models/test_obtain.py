"""Only models that are safe to load and fit for the task are obtained."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from llamaduo.errors import ModelError
from llamaduo.finetuning.models.fingerprint import fingerprint_of
from llamaduo.finetuning.models.obtain import obtain, token_counter
from llamaduo.finetuning.settings import LocalSettings
from llamaduo.records import Checkpoint
from tests.finetuning.made import pair
from tests.tiny_llama import build_tiny_llama


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model, for a test to spoil."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


def refusal(folder: Path | str) -> ModelError:
    with pytest.raises(ModelError) as caught:
        obtain(LocalSettings(model=str(folder)), cache=Path("/nonexistent"))
    assert caught.value.hint
    return caught.value


def edit_json(path: Path, **fields: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_a_folder_becomes_a_base_checkpoint_with_its_window(tmp_path: Path) -> None:
    folder = build_tiny_llama(tmp_path / "m", window=96)
    checkpoint = obtain(LocalSettings(model=str(folder)), cache=tmp_path / "cache")
    assert checkpoint == Checkpoint(
        model=str(folder), base=str(folder), window=96, fingerprint=fingerprint_of(folder)
    )
    assert checkpoint.author == "base"
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pth", "w.pkl", "w.ckpt"])
def test_weights_as_a_pickle_are_refused_and_never_opened(folder: Path, name: str) -> None:
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(b"not even a pickle")
    assert name in refusal(folder).message
    assert "pickle" in refusal(folder).message


def test_a_pickle_beside_safetensors_is_left_alone(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"not even a pickle")
    assert obtain(LocalSettings(model=str(folder)), cache=folder).window == 256


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "generation_config.json"])
def test_auto_map_is_refused_wherever_it_stands(folder: Path, name: str) -> None:
    edit_json(folder / name, inner=[{"auto_map": {"AutoModel": "evil.Model"}}])
    error = refusal(folder)
    assert name in error.message
    assert "auto_map" in error.message


def test_shards_outside_the_folder_or_as_pickles_are_refused(folder: Path) -> None:
    index = folder / "model.safetensors.index.json"
    for shard in ("../model.safetensors", "pytorch_model-00001.bin"):
        index.write_text(json.dumps({"weight_map": {"a": shard}}))
        assert shard in refusal(folder).message
    index.write_text(json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors"}}))
    assert "missing" in refusal(folder).message


def test_what_is_missing_is_named(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    assert "no tokenizer" in refusal(folder).message
    (folder / "model.safetensors").unlink()
    assert "model.safetensors" in refusal(folder).message
    (folder / "config.json").unlink()
    assert "config.json" in refusal(folder).message


def test_a_config_that_is_not_json_or_has_no_window_is_refused(folder: Path) -> None:
    edit_json(folder / "config.json", max_position_embeddings=None)
    assert "max_position_embeddings" in refusal(folder).message
    (folder / "config.json").write_text("{")
    assert "not JSON" in refusal(folder).message
    (folder / "config.json").write_text('{"max_position_embeddings": 8, "hidden_size": "big"}')
    assert refusal(folder).message


def test_a_known_model_is_not_looked_at_by_transformers_again(folder: Path) -> None:
    settings = LocalSettings(model=str(folder))
    edit_json(folder / "config.json", model_type="unheard-of")
    assert "transformers" in refusal(folder).message
    known = fingerprint_of(folder)
    assert obtain(settings, folder, known=known).fingerprint == known
    with pytest.raises(ModelError, match="transformers"):
        obtain(settings, folder, known="f" * 64)
    edit_json(folder / "generation_config.json", auto_map={"AutoModel": "evil.Model"})
    assert fingerprint_of(folder) == known
    with pytest.raises(ModelError, match="auto_map"):
        obtain(settings, folder, known=known)


def test_a_tokenizer_without_an_end_of_sequence_is_refused(folder: Path) -> None:
    edit_json(folder / "tokenizer_config.json", eos_token=None)
    assert "eos_token" in refusal(folder).message


def test_a_folder_name_starts_at_the_configurations_folder(folder: Path) -> None:
    # Written like OWNER/NAME, and yet the folder: the Hub is not asked.
    model = f"{folder.parent.name}/{folder.name}"
    checkpoint = obtain(LocalSettings(model=model), folder, folder.parents[1])
    assert (checkpoint.model, checkpoint.base) == (model, str(folder))
    absolute = obtain(LocalSettings(model=str(folder)), folder, Path("/elsewhere"))
    assert absolute.base == str(folder)


def test_the_home_folder_may_be_written_as_a_tilde(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    settings = LocalSettings(model=f"~/{folder.name}")
    assert obtain(settings, folder, Path("/elsewhere")).base == str(folder)


@pytest.mark.parametrize(
    "name",
    [
        "no such folder",
        "./no/such",
        "../no-such",
        "./a/b",
        "/no/such",
        "~/no-such",
        "a/b/c",
        "gpt2",
    ],
)
def test_neither_a_folder_nor_a_hub_name(name: str) -> None:
    error = refusal(name)
    assert "neither a folder nor a Hub name" in error.message
    assert "OWNER/NAME" in error.hint
    assert "smollm2-135m-instruct" in error.hint


def test_a_file_is_not_looked_for_on_the_hub(tmp_path: Path) -> None:
    (tmp_path / "owner").mkdir()
    (tmp_path / "owner" / "model.bin").write_bytes(b"GGUF")
    with pytest.raises(ModelError, match="neither a folder nor a Hub name"):
        obtain(LocalSettings(model="owner/model.bin"), tmp_path, tmp_path)
    (tmp_path / "owner" / "model.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelError, match="not a whole GGUF file"):
        obtain(LocalSettings(model="owner/model.gguf"), tmp_path, tmp_path)


@pytest.mark.parametrize("name", ["a/b--c", "a/b..c", "a/b.git", "a/" + "b" * 120])
def test_a_name_that_the_hub_cannot_have(name: str) -> None:
    error = refusal(name)
    assert f"{name} cannot be the name of a model on the Hub" in error.message
    assert "no folder" in error.message


def test_a_user_that_does_not_exist() -> None:
    assert "not a path" in refusal("~no-such-user-here/model").message


@pytest.mark.parametrize("content", [b"", b"junk", b"\xff" * 64, b"\x02" + bytes(7) + b"{}"])
def test_junk_in_place_of_weights_is_named(folder: Path, content: bytes) -> None:
    (folder / "model.safetensors").write_bytes(content)
    assert str(folder / "model.safetensors") in refusal(folder).message


def test_weights_that_were_cut_off_are_named_whole_or_sharded(folder: Path) -> None:
    weights = folder / "model.safetensors"
    half = weights.read_bytes()[:-1000]
    weights.write_bytes(half)
    assert "not a whole safetensors file" in refusal(folder).message
    shard = weights.rename(folder / "model-00001-of-00001.safetensors")
    index = {"weight_map": {"a": shard.name}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert str(shard) in refusal(folder).message


@pytest.mark.parametrize("spoil", ["config.json", "tokenizer.json", "first", "last", "size"])
def test_the_fingerprint_is_of_the_content(folder: Path, tiny_folder: Path, spoil: str) -> None:
    assert fingerprint_of(folder) == fingerprint_of(tiny_folder)
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    if spoil in {"first", "last"}:
        content[0 if spoil == "first" else -1] ^= 1
        weights.write_bytes(content)
    elif spoil == "size":
        weights.write_bytes(content + b"\0")
    else:
        (folder / spoil).write_text("{}")
    assert fingerprint_of(folder) != fingerprint_of(tiny_folder)


def test_another_model_has_another_fingerprint(tiny_folder: Path, tmp_path: Path) -> None:
    assert fingerprint_of(build_tiny_llama(tmp_path, seed=1)) != fingerprint_of(tiny_folder)


def test_the_counter_counts_the_chat_template_too(tiny: Checkpoint) -> None:
    count = token_counter(tiny)
    prompt, response = count(pair("hello", "billing"))
    longer_prompt, same_response = count(pair("hello", "billing", system="You triage."))
    assert longer_prompt > prompt > 1
    assert response == same_response
    # "<|im_end|>" and the line end after it belong to the response.
    assert count(pair("hello", ""))[1] == 2
