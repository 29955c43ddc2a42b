"""The size of a model, from its configuration and the headers of its weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llamaduo.errors import ModelError
from llamaduo.finetuning.recipes.sizes import size_of
from tests.tiny_llama import build_tiny_llama


def test_a_size_is_that_of_the_model(tiny_folder: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    from llamaduo.tasks.quiet import quiet

    size = size_of(tiny_folder)
    model: Any = AutoModelForCausalLM.from_pretrained(tiny_folder)
    assert size.parameters == model.num_parameters()
    assert (size.layers, size.hidden, size.intermediate, size.heads) == (2, 64, 128, 4)
    assert (size.query_width, size.key_width) == (64, 32)
    assert size.vocabulary == model.config.vocab_size
    assert size.other_parameters == size.vocabulary * 64 + 5 * 64
    assert size.largest_linear == 64 * 128
    assert not size.softcapped
    with quiet(logging):
        adapted = get_peft_model(model, LoraConfig(r=3, target_modules="all-linear"))
    trained = sum(p.numel() for p in adapted.parameters() if p.requires_grad)
    assert size.adapter_parameters(3) == trained


def test_shards_are_counted_together(tiny_folder: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(tiny_folder)
    model.save_pretrained(tmp_path, max_shard_size="100KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    assert size_of(tmp_path) == size_of(tiny_folder)


@pytest.mark.parametrize("family", ["gemma2", "gemma3_text", "phi3", "qwen3", "mistral"])
def test_other_families(family: str, tmp_path: Path) -> None:
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM

    kind: Any = CONFIG_MAPPING[family]
    config = kind(
        vocab_size=96,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=None,
    )
    auto: Any = AutoModelForCausalLM
    model = auto.from_config(config)
    model.save_pretrained(tmp_path)
    size = size_of(tmp_path)
    assert size.parameters == model.num_parameters()
    assert (size.layers, size.hidden, size.vocabulary) == (2, 32, 96)
    linear = sum(
        module.weight.numel()
        for name, module in model.named_modules()
        if type(module).__name__ == "Linear" and name != "lm_head"
    )
    assert size.linear_parameters == linear
    assert size.softcapped == (family == "gemma2")


def test_what_has_no_matrices_is_refused(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    build_tiny_llama(tmp_path)
    save_file({"model.norm.weight": torch.ones(64)}, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match="no matrices"):
        size_of(tmp_path)


def test_a_configuration_without_dimensions_is_refused(tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").symlink_to(tiny_folder / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "clip_vision_model"}))
    with pytest.raises(ModelError, match="does not say how wide"):
        size_of(tmp_path)
