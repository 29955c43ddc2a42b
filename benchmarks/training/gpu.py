"""How fast is a fine-tuning on one GPU, and how long would an epoch of the paper's largest data be?

    python benchmarks/training/gpu.py
    python benchmarks/training/gpu.py --shape tiny --steps 3    # whether it runs, on any machine

Builds models of the paper's shapes with random weights from their configuration alone, on the
GPU, and trains each four ways: QLoRA and LoRA, packed and padded, on pairs with the lengths of
Table 4. Nothing is downloaded. Of at least 200 optimizer steps the first ten are left out. The
share of the peak counts what training needs (products with the weights, forward and back to the
activations, for tokens of pairs; the projection to the vocabulary for tokens that carry loss),
against a plain product of 16-bit matrices measured in the same run. What is recomputed, padded or
unpacked from four bits is not counted as work.

The time of an epoch over 256,000 pairs is **extrapolated** from tokens a second. Where memory
does not suffice, the micro-batch is halved, and said. Writes ``gpu.json`` and ``gpu.md`` beside
this file; without a GPU they say "not run".
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import torch
import transformers
from lengths import MEAN, random_pairs, table_4
from torch import nn
from transformers import AutoModelForCausalLM, PrinterCallback, TrainerCallback
from transformers.utils import logging

from llamaduo.finetuning.training.job import Job
from llamaduo.finetuning.training.loading import is_flat, ready, with_adapter
from llamaduo.finetuning.training.memory import is_out_of_memory
from llamaduo.finetuning.training.packing import Collator, rows_of
from llamaduo.finetuning.training.trainer import ResponseTrainer, arguments
from llamaduo.records import Checkpoint, Forecast, Method, Recipe
from llamaduo.tasks.quiet import quiet

HERE = Path(__file__).parent
WINDOW, ROWS, PAIRS = 1024, 8, 64
"""Tokens of a packed row; rows of a packed step; pairs of a padded one."""
AN_EPOCH = 256_000
"""Pairs: the paper's largest mixture."""
SKIPPED = 10
"""Steps at the beginning that are not timed."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A model as its configuration describes it."""

    config: str
    vocabulary: int
    hidden: int
    intermediate: int
    layers: int
    heads: int
    key_heads: int
    head: int


SHAPES = {
    "gemma-2b": Shape("GemmaConfig", 256_000, 2048, 16_384, 18, 8, 1, 256),
    "gemma-7b": Shape("GemmaConfig", 256_000, 3072, 24_576, 28, 16, 16, 256),
    "mistral-7b": Shape("MistralConfig", 32_000, 4096, 14_336, 32, 32, 8, 128),
    "llama-3-8b": Shape("LlamaConfig", 128_256, 4096, 14_336, 32, 32, 8, 128),
    "tiny": Shape("LlamaConfig", 512, 64, 128, 2, 4, 2, 16),
}
TINY = "tiny"


# --- a model out of nothing -------------------------------------------------------------------


def build(shape: Shape, recipe: Recipe, device: str) -> Any:
    """A model of ``shape`` with random weights and a new adapter, as a recipe trains it."""
    config = getattr(transformers, shape.config)(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_heads,
        head_dim=shape.head,
        max_position_embeddings=8192,
        sliding_window=None,
        attn_implementation=recipe.attention,
    )
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, recipe.dtype))
    if recipe.method == "qlora":
        quantize(model, device)
    return ready(with_adapter(model, recipe), recipe)


def quantize(model: Any, device: str) -> None:
    """Every matrix of the layers in NF4 with doubly quantized scales, as it would be loaded."""
    from bitsandbytes.nn import Linear4bit, Params4bit

    head = model.get_output_embeddings()
    found = [(n, m) for n, m in model.named_modules() if isinstance(m, nn.Linear) and m is not head]
    for name, linear in found:
        quantized = Linear4bit(
            linear.in_features,
            linear.out_features,
            bias=False,
            compute_dtype=linear.weight.dtype,
            quant_type="nf4",
        )
        weight = Params4bit(linear.weight.data, requires_grad=False, quant_type="nf4")
        quantized.weight = weight.to(device)
        model.set_submodule(name, quantized)
    model.is_loaded_in_4bit = True  # what PEFT asks for


def linear_parameters(shape: Shape) -> int:
    """Of the layers."""
    attention = shape.hidden * shape.head * (2 * shape.heads + 2 * shape.key_heads)
    return shape.layers * (attention + 3 * shape.hidden * shape.intermediate)


# --- training it ------------------------------------------------------------------------------


class Clock(TrainerCallback):
    """What was done after the first steps, and in which time."""

    def __init__(self, skipped: int) -> None:
        self._skipped, self.trainer = skipped, None
        self.steps, self.seconds, self.tokens, self.loss_tokens = 0, 0.0, 0, 0

    def on_step_end(self, _: Any, state: Any, __: Any, **___: Any) -> None:
        if state.global_step in {self._skipped, state.max_steps}:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            tally, sign = self.trainer.tally, 1 if state.global_step == state.max_steps else -1
            self.steps += sign * state.global_step
            self.seconds += sign * time.monotonic()
            self.tokens += sign * tally.tokens
            self.loss_tokens += sign * tally.loss_tokens


def recipe_for(method: Method, packing: bool, micro: int, accumulation: int) -> Recipe:
    """Table 5's: rank 32 and alpha 64, as for 64,000 to 256,000 pairs."""
    on_gpu = torch.cuda.is_available()
    return Recipe(
        method=method,
        dtype="bfloat16" if on_gpu else "float32",
        epochs=1.0,
        learning_rate=2e-4,
        warmup=0.1,
        window=WINDOW,
        packing=packing,
        micro_batch=micro,
        accumulation=accumulation,
        lora_rank=32,
        lora_alpha=64,
        lora_dropout=0.05,
        activation_checkpointing=False,
        attention="flash_attention_2" if transformers.utils.is_flash_attn_2_available() else "sdpa",
        liger=transformers.utils.is_liger_kernel_available(),
        validation_pairs=0,
        patience=0,
        save_every_seconds=0,
        processes=0,
        report_to=(),
        seed=0,
        reasons={},
        forecast=Forecast(seconds=0, memory_bytes=0, tokens=0, steps=0),
    )


def measure(name: str, method: Method, packing: bool, steps: int, top: float) -> dict[str, Any]:
    """Train the shape ``name``, with smaller micro-batches where memory runs out."""
    rows = 4 if name == TINY else ROWS if packing else PAIRS
    micro = 2 if name == TINY else rows
    while True:
        try:
            return _measure(name, recipe_for(method, packing, micro, rows // micro), steps, top)
        except (torch.OutOfMemoryError, RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or micro == 1:
                raise
        micro //= 2
        _free()
        print(f"{name} {method}: out of memory; now {micro} rows at once", flush=True)


def _measure(name: str, recipe: Recipe, steps: int, top: float) -> dict[str, Any]:
    shape, device = SHAPES[name], "cuda" if torch.cuda.is_available() else "cpu"
    _free()
    pairs = list(_enough(shape, recipe, steps))
    model = build(shape, recipe, device)
    clock = Clock(min(SKIPPED, steps - 1))
    with tempfile.TemporaryDirectory() as scratch:
        trainer = ResponseTrainer(
            model=model,
            args=arguments(recipe, _job(name, recipe, Path(scratch), len(pairs))),
            train_dataset=rows_of(pairs, size=WINDOW if recipe.packing else None, seed=0),
            data_collator=Collator(0, is_flat(model)),
        )
        clock.trainer = trainer
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(clock)
        trainer.args.max_steps = steps
        trainer.train()
    work = 4.0 * linear_parameters(shape) * clock.tokens
    work += 4.0 * shape.vocabulary * shape.hidden * clock.loss_tokens
    speed = clock.tokens / clock.seconds
    return {
        "shape": name,
        "method": recipe.method,
        "layout": "packed" if recipe.packing else "padded",
        "attention": model.config._attn_implementation,  # noqa: SLF001 - it has no other name
        "rows at once": recipe.micro_batch,
        "rows in a step": recipe.micro_batch * recipe.accumulation,
        "steps": clock.steps,
        "tokens/s": speed,
        "loss tokens/s": clock.loss_tokens / clock.seconds,
        "share of peak": work / clock.seconds / top,
        "memory, GB": torch.cuda.max_memory_allocated() / 1e9 if device == "cuda" else None,
        "hours of an epoch, extrapolated": AN_EPOCH * MEAN / speed / 3600,
    }


def _enough(shape: Shape, recipe: Recipe, steps: int) -> Iterator[Any]:
    """Pairs for so many steps, with some to spare."""
    rows = steps * recipe.micro_batch * recipe.accumulation + 1
    mean = sum(table_4(1000)) / 1000
    count = int(rows * WINDOW / mean * 1.05) if recipe.packing else rows
    yield from random_pairs(count, shape.vocabulary)


def _job(name: str, recipe: Recipe, scratch: Path, pairs: int) -> Job:
    return Job(
        key="benchmark",
        folder=str(scratch),
        start=Checkpoint(model=name, base=str(scratch), window=8192),
        recipe=recipe,
        cycle=0,
        pairs=pairs,
        into=str(scratch / "checkpoint"),
    )


def _free() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak() -> float:
    """Operations a second of a plain matrix product in the type that is trained in."""
    on_gpu = torch.cuda.is_available()
    size, device = (8192, "cuda") if on_gpu else (1024, "cpu")
    number = torch.bfloat16 if on_gpu else torch.float32
    one, other = (torch.randn(size, size, device=device, dtype=number) for _ in range(2))
    best = 0.0
    for _ in range(5):
        begun = time.monotonic()
        for _ in range(10):
            one @ other
        if on_gpu:
            torch.cuda.synchronize()
        best = max(best, 10 * 2 * size**3 / (time.monotonic() - begun))
    return best


# --- the report -------------------------------------------------------------------------------


def results(options: argparse.Namespace) -> dict[str, Any]:
    shapes = [options.shape] if options.shape else [name for name in SHAPES if name != TINY]
    if TINY not in shapes and not torch.cuda.is_available():
        return {"status": "not run", "why": "this machine has no GPU"}
    top, rows = peak(), []
    for name, method, packing in product(shapes, ("qlora", "lora"), (True, False)):
        rows.append(measure(name, method, packing, options.steps, top))
        print(json.dumps(rows[-1]), flush=True)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()
    return {
        "status": "run",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{device}, torch {torch.__version__}, transformers {transformers.__version__}",
        "peak, TFLOPS": top / 1e12,
        "rows": rows,
    }


def as_table(found: dict[str, Any]) -> str:
    title = "# Fine-tuning on one GPU\n\n"
    if found["status"] == "not run":
        return (
            f"{title}**Not run**: {found['why']}. On a machine with one:"
            " `python benchmarks/training/gpu.py`.\n"
        )
    about = (
        f"{found['machine']}; {found['date']}. Random weights, rank 32, dropout 0.05, pairs with"
        " the lengths of Table 4. A plain product of matrices in the same run:"
        f" {found['peak, TFLOPS']:.1f} TFLOPS. The last column is **extrapolated** from tokens a"
        " second, not run."
    )
    heads = (
        "| shape | method | rows | at once | steps | tokens/s | with loss/s | share of the peak |"
        " memory, GB | an epoch over 256,000 pairs, h (extrapolated) |"
    )
    lines = [title + about, "", heads, "| --- " * 10 + "|"]
    for row in found["rows"]:
        memory = "–" if row["memory, GB"] is None else f"{row['memory, GB']:.1f}"
        lines.append(
            f"| {row['shape']} | {row['method']} | {row['layout']} | {row['rows at once']} |"
            f" {row['steps']} | {row['tokens/s']:,.0f} | {row['loss tokens/s']:,.0f} |"
            f" {row['share of peak']:.0%} | {memory} |"
            f" {row['hours of an epoch, extrapolated']:.2f} |"
        )
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--shape", choices=list(SHAPES), help="one of them; all but tiny if absent")
    parser.add_argument("--steps", type=int, default=SKIPPED + 200)
    parser.add_argument("--into", type=Path, default=HERE / "gpu.json")
    options = parser.parse_args()
    with quiet(logging), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = results(options)
    options.into.write_text(json.dumps(found, indent=2) + "\n")
    options.into.with_suffix(".md").write_text(as_table(found))
    print(as_table(found))


if __name__ == "__main__":
    main()
