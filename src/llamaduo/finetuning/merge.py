"""Merge a checkpoint's adapter into its base: one model folder that needs nothing else."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any, Literal

from llamaduo.errors import StageFailed
from llamaduo.finetuning.adapter import check_adapter, forget_place
from llamaduo.records import Checkpoint
from llamaduo.tasks.quiet import quiet


def merge(checkpoint: Checkpoint, into: Path, dtype: Literal["float32", "bfloat16"]) -> None:
    """Write weights (safetensors) and configuration of ``checkpoint`` into the folder ``into``.

    The sums are made in 32 bits, where a small update is not rounded away, and rounded once
    at the end if ``dtype`` asks for it. Never into quantized weights: the base is loaded anew.

    Raises:
        ModelError: the adapter is missing or damaged.
        StageFailed: the model does not fit into memory or onto the disk, or has weights that
            are no numbers.
    """
    from safetensors import SafetensorError

    if checkpoint.adapter is not None:
        check_adapter(Path(checkpoint.adapter))
    try:
        _merge(checkpoint, into, dtype)
    except SafetensorError as error:  # how it wraps what the operating system says
        raise StageFailed(
            f"The merged weights could not be written to {into}: {error}.",
            hint="Free some space, or deploy the adapter: --form adapter.",
        ) from error
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "allocate memory" not in str(error):
            raise
        raise StageFailed(
            f"{checkpoint.model} does not fit into memory in 32 bits, which merging needs.",
            hint="Merge on a larger machine, or deploy the adapter: --form adapter.",
        ) from error
    finally:
        gc.collect()


def _merge(checkpoint: Checkpoint, into: Path, dtype: str) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    with quiet(logging):
        model: Any = AutoModelForCausalLM.from_pretrained(
            checkpoint.base,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
        )
        if checkpoint.adapter is not None:
            model = _merged(PeftModel.from_pretrained(model, checkpoint.adapter))
        model.to(getattr(torch, dtype)).save_pretrained(into)
    forget_place(into / "config.json")


def _merged(model: Any) -> Any:
    try:
        return model.merge_and_unload(safe_merge=True)
    except ValueError as error:
        raise StageFailed(
            f"The adapter cannot be merged: {error}",
            hint="The fine-tune that wrote it failed. Start a new run with --name.",
        ) from error
