"""Only models that are safe to load and fit for the task are obtained."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from llamaduo.errors import ModelError
from llamaduo.finetuning.models import obtain, token_counter
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
    assert checkpoint == Checkpoint(model=str(folder), base=str(folder), window=96)
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
    (folder / "chat_template.jinja").unlink()
    assert "chat template" in refusal(folder).message
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


def test_a_tokenizer_without_an_end_of_sequence_is_refused(folder: Path) -> None:
    edit_json(folder / "tokenizer_config.json", eos_token=None)
    assert "eos_token" in refusal(folder).message


def test_neither_a_folder_nor_a_hub_name() -> None:
    assert "neither a folder nor a Hub name" in refusal("no such folder").message
    assert "neither a folder nor a Hub name" in refusal("./no/such/folder").message


def test_the_counter_counts_the_chat_template_too(tiny: Checkpoint) -> None:
    count = token_counter(tiny)
    prompt, response = count(pair("hello", "billing"))
    longer_prompt, same_response = count(pair("hello", "billing", system="You triage."))
    assert longer_prompt > prompt > 1
    assert response == same_response
    # "<|im_end|>" and the line end after it belong to the response.
    assert count(pair("hello", ""))[1] == 2
