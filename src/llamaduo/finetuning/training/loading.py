"""The model that a recipe trains: the base, quantized or not, and what is trained of it.

Imports torch: load lazily.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, set_seed

from llamaduo.errors import ModelError
from llamaduo.finetuning.merge import merge
from llamaduo.finetuning.models.trained_tokens import trained_tokens
from llamaduo.finetuning.training.documents import DOCUMENTS, register
from llamaduo.finetuning.training.fused import fuse
from llamaduo.records import Checkpoint, Recipe


def load_for_training(start: Checkpoint, recipe: Recipe, scratch: Path) -> Any:
    """``start`` as ``recipe`` trains it: every parameter that asks for a gradient is trained.

    - qlora: the weights in NF4 with doubly quantized scales, and a new adapter. An adapter that
      ``start`` has is merged into the unquantized weights first, in a folder in ``scratch``.
    - lora: the weights as they are, and the adapter of ``start``, or else a new one.
    - full: all weights, in 32 bits, with an adapter of ``start`` merged into them.

    Raises:
        ModelError: no layer of the model takes an adapter.
        StageFailed: merging ran out of memory or disk.
    """
    if recipe.method == "qlora":
        with _unquantized(start, scratch) as folder:
            base = _base(folder, recipe, quantized=True)
            model = with_adapter(base, recipe, trained_tokens(Path(start.base)), start.model)
    elif recipe.method == "lora":
        model = _base(Path(start.base), recipe)
        if start.adapter is None:
            model = with_adapter(model, recipe, trained_tokens(Path(start.base)), start.model)
        else:
            model = PeftModel.from_pretrained(model, start.adapter, is_trainable=True)
    else:
        model = _base(Path(start.base), recipe)
        if start.adapter is not None:
            model = PeftModel.from_pretrained(model, start.adapter).merge_and_unload()
        model.requires_grad_(True)
    return ready(model, recipe)


def is_flat(model: Any) -> bool:
    """Whether attention goes pair by pair, so that rows need neither mask nor padding."""
    return model.config.get_text_config()._attn_implementation in {  # noqa: SLF001 - there is no other name
        DOCUMENTS,
        "flash_attention_2",
    }


# --- the base -------------------------------------------------------------------------------


@contextmanager
def _unquantized(start: Checkpoint, scratch: Path) -> Iterator[Path]:
    """A folder with the plain weights of ``start``; where they had to be merged, it goes again
    when they are loaded, so that the disk holds them once and for minutes."""
    if start.adapter is None:
        yield Path(start.base)
        return
    merged, state = scratch / "merged", PartialState()
    try:
        with state.main_process_first():
            if state.is_main_process:
                shutil.rmtree(merged, ignore_errors=True)
                merge(start, merged, "bfloat16" if torch.cuda.is_available() else "float32")
        yield merged
        state.wait_for_everyone()
    finally:
        if state.is_main_process:
            shutil.rmtree(merged, ignore_errors=True)


def _base(folder: Path, recipe: Recipe, *, quantized: bool = False) -> Any:
    number = getattr(torch, recipe.dtype)
    options: dict[str, Any] = {}
    if quantized:
        options["quantization_config"] = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=number,
        )
        options["device_map"] = {"": PartialState().device}
    return AutoModelForCausalLM.from_pretrained(
        folder,
        # All weights are trained in 32 bits, where a small step is not lost in rounding.
        dtype=torch.float32 if recipe.method == "full" else number,
        attn_implementation=None if recipe.attention == "sdpa" else recipe.attention,
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
        **options,
    )


def ready(model: Any, recipe: Recipe) -> Any:
    """``model`` with what makes its training quick, or small, here."""
    model.config.use_cache = False
    plain: Any = model.get_base_model() if isinstance(model, PeftModel) else model
    if not torch.cuda.is_available() and getattr(plain, "_supports_attention_backend", False):
        register()
        plain.set_attn_implementation(DOCUMENTS)
        fuse(model)
    if recipe.activation_checkpointing:
        plain.enable_input_require_grads()  # frozen embeddings would end the way back
    return model


# --- the adapter ----------------------------------------------------------------------------


def with_adapter(
    base: Any, recipe: Recipe, tokens: tuple[int, ...] = (), name: str = "The model"
) -> Any:
    """``base``, which ``name`` names, with a new adapter, which trains the rows of ``tokens``, too.

    Raises:
        ModelError: no layer takes an adapter.
    """
    set_seed(recipe.seed)  # the new adapter's first weights are drawn here
    trained = {matrix: list(tokens) for matrix in _embeddings(base)} if tokens else None
    lora = LoraConfig(
        r=recipe.lora_rank,
        lora_alpha=recipe.lora_alpha,
        lora_dropout=recipe.lora_dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
        trainable_token_indices=trained,
    )
    try:
        model = get_peft_model(base, lora)
    except ValueError as error:
        raise _nothing_to_adapt(name) from error
    if not any("lora_" in parameter for parameter, _ in model.named_parameters()):
        raise _nothing_to_adapt(name)
    return model


def _nothing_to_adapt(name: str) -> ModelError:
    return ModelError(
        f"{name} has no linear layer that LoRA could adapt.",
        hint="Train all weights instead, with finetuning.method: full, or use another model.",
    )


def _embeddings(model: Any) -> list[str]:
    """The names of the matrices that hold a row for each token; one where they are shared."""
    wanted = [model.get_input_embeddings()]
    if not model.config.get_text_config().tie_word_embeddings:
        wanted.append(model.get_output_embeddings())
    return [name for name, module in model.named_modules() if any(module is w for w in wanted)]
