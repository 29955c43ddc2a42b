"""Load a checkpoint for inference: base model, adapter merged in. Imports torch: load lazily."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM
from transformers.utils import logging

from llamaduo.errors import ModelError
from llamaduo.records import Checkpoint
from llamaduo.tasks.quiet import quiet


def load_model(checkpoint: Checkpoint, *, as_trained: bool = False) -> Any:
    """The model of ``checkpoint``, ready to generate.

    32-bit on CPU, where bfloat16 is slower, and bfloat16 on a GPU. The adapter is merged into
    the weights in 32 bits: its products cost time at every token, and small updates would be
    rounded away in 16. ``as_trained`` leaves it beside them, as it was while it was trained.

    Raises:
        ModelError: the base model or the adapter is not there.
    """
    _require(checkpoint)
    gpu = torch.cuda.is_available()
    merges = checkpoint.adapter is not None
    with quiet(logging):
        model: Any = AutoModelForCausalLM.from_pretrained(
            checkpoint.base,
            dtype=torch.bfloat16 if gpu and not merges else torch.float32,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
        )
        if checkpoint.adapter is not None:
            from peft import PeftModel  # takes over a second: not for a model without adapters

            model = PeftModel.from_pretrained(model, checkpoint.adapter)
            if not as_trained:
                model = model.merge_and_unload()
    return (in_bfloat16(model).to("cuda") if gpu else model).eval()


def in_bfloat16(model: Any) -> Any:
    """``model`` with its weights in 16 bits, and them alone: positions are angles that come from
    buffers, and frequencies of 16 bits are a whole turn off after some thousand tokens."""
    for weight in model.parameters():
        weight.data = weight.data.to(torch.bfloat16)
    return model


def load_adapters(base: Checkpoint, adapters: Mapping[str, Path]) -> Any:
    """The base model of ``base`` with ``adapters`` beside its weights, by name, none merged.

    ``model.set_adapter(name, inference_mode=True)`` chooses the one that is in effect.

    Raises:
        ModelError: the base model or an adapter is not there.
    """
    from peft import PeftModel

    for folder in adapters.values():
        _require(replace(base, adapter=str(folder)))
    model: Any = load_model(replace(base, adapter=None))
    with quiet(logging):
        (first, folder), *others = adapters.items()
        model = PeftModel.from_pretrained(model, folder, adapter_name=first)
        for name, other in others:
            model.load_adapter(other, adapter_name=name)
    return model.eval()


def _require(checkpoint: Checkpoint) -> None:
    weights = Path(checkpoint.adapter or checkpoint.base) / (
        "adapter_model.safetensors" if checkpoint.adapter else "config.json"
    )
    if not weights.is_file():
        raise ModelError(
            f"{weights} is missing, so the local LLM cannot be loaded.",
            hint="Run llamaduo run again: it obtains or fine-tunes the model anew.",
        )
