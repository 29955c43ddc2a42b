"""A GGUF file as the base model: the model that it was made from, or a refusal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from llamaduo.deployment.gguf import write_gguf
from llamaduo.errors import ModelError
from llamaduo.finetuning.models.model_folder import read_tokenizer
from llamaduo.finetuning.models.obtain import obtain
from llamaduo.finetuning.settings import LocalSettings
from tests.llamas import build_llama

gguf: Any = pytest.importorskip("gguf")
TEXTS = (
    "1 22 333 4444 3.14159 1,000,000 ٣٤٥",
    "I'm you're WE'LL 'quoted'  two   spaces\n\n\tline\r\nend ",
    "naïve café 日本語 한국어 😀👨‍👩‍👧 <|im_end|>",
)


def written(model: Path, into: Path) -> Path:
    return write_gguf(model, into / "model.gguf", "F16", name="t")


def logits(folder: Path, tokens: list[int]) -> torch.Tensor:
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.inference_mode():
        found: torch.Tensor = model(torch.tensor([tokens])).logits
    return found


@pytest.mark.parametrize("pre", ["gpt-2", "smollm", "llama-bpe", "smaug-bpe"])
def test_it_is_the_model_that_it_was_made_from(tmp_path: Path, pre: str) -> None:
    model = build_llama(tmp_path / "model", pre)
    path = written(model, tmp_path)
    checkpoint = obtain(LocalSettings(model=str(path)), tmp_path / "cache")
    folder = Path(checkpoint.base)
    assert (checkpoint.model, checkpoint.window) == (str(path), 256)
    ours, theirs = read_tokenizer(folder), read_tokenizer(model)
    assert ours.chat_template == theirs.chat_template
    assert ours.eos_token == theirs.eos_token
    for text in TEXTS:
        assert ours(text)["input_ids"] == theirs(text)["input_ids"]
    tokens = theirs(TEXTS[0])["input_ids"]
    assert torch.allclose(logits(folder, tokens), logits(model, tokens), atol=0.05)
    written_at = (folder / "unpacked.json").stat().st_mtime_ns
    assert obtain(LocalSettings(model=str(path)), tmp_path / "cache") == checkpoint
    assert (folder / "unpacked.json").stat().st_mtime_ns == written_at  # it is not made again


def test_another_file_of_the_same_name_is_another_model(tmp_path: Path) -> None:
    settings, cache = LocalSettings(model=str(tmp_path / "model.gguf")), tmp_path / "cache"
    written(build_llama(tmp_path / "one"), tmp_path)
    first = obtain(settings, cache)
    written(build_llama(tmp_path / "two", "smollm"), tmp_path)
    assert obtain(settings, cache).fingerprint != first.fingerprint


def edited(path: Path, **fields: str) -> Path:
    """A GGUF file with nothing but these texts in it."""
    writer = gguf.GGUFWriter(path, fields.pop("kind", "llama"))
    for name, value in fields.items():
        writer.add_string(name.replace("__", "."), value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


TEMPLATE = {"tokenizer__chat_template": "x"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kind": "gemma3"}, "it is a gemma3, not a Llama"),
        ({}, "no chat template"),
        (TEMPLATE | {"tokenizer__ggml__model": "llama"}, "its tokenizer"),
        (
            TEMPLATE | {"tokenizer__ggml__model": "gpt2", "tokenizer__ggml__pre": "qwen2"},
            r"its tokenizer \(gpt2, qwen2\)",
        ),
        (
            TEMPLATE | {"tokenizer__ggml__model": "gpt2", "tokenizer__ggml__pre": "gpt-2"},
            "how many tokens",
        ),
    ],
)
def test_what_would_not_come_out_exactly_is_refused(
    tmp_path: Path, fields: dict[str, str], words: str
) -> None:
    path = edited(tmp_path / "model.gguf", **fields)
    with pytest.raises(ModelError, match=words) as refused:
        obtain(LocalSettings(model=str(path)), tmp_path / "cache")
    assert "safetensors" in refused.value.hint
    assert not (tmp_path / "cache").exists()


def test_a_file_that_was_cut_off_is_named(tmp_path: Path) -> None:
    path = written(build_llama(tmp_path / "model"), tmp_path)
    path.write_bytes(path.read_bytes()[:-100_000])
    with pytest.raises(ModelError, match="not a whole GGUF file"):
        obtain(LocalSettings(model=str(path)), tmp_path / "cache")
