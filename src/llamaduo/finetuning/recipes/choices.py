"""One value of a recipe after the other, each with its reason. Pure: no I/O, no torch.

What the settings give is taken as it is. The rest follows the paper's Table 5 where it says
something, and else:

- QLoRA: Dettmers et al. 2023 (a rate of 2e-4 for 7 B, 1e-4 for 33 B and 65 B; batches of 16;
  all linear layers).
- "LoRA Without Regret": Schulman et al., Thinking Machines, 2025, and the formulas of the Tinker
  cookbook (the rate falls with the width, by a power of 0.78 for Llama; training all weights
  needs a tenth of it; LoRA bears large batches badly; all linear layers).
- The Alignment Handbook's SFT recipes, which the paper used: Zephyr-7B and Gemma (cosine, a tenth
  of warm-up; 2e-4 with QLoRA, 2e-5 without; 3 epochs over 10 k conversations, 1 over 200 k).
- The authors' own configurations (2e-4 for 2 B and 7 B; 4 pairs × 2 on each of 8 GPUs).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llamaduo.errors import ExtraMissing, StageFailed
from llamaduo.finetuning.recipes.hardware import Machine
from llamaduo.finetuning.recipes.sizes import ModelSize
from llamaduo.finetuning.recipes.window import Data
from llamaduo.finetuning.settings import FinetuningSettings
from llamaduo.records import Method

GIVEN = "as configured"

VOLUMES = (16_384, 32_768)
"""Table 5's volumes of 16 k and 32 k pairs."""
RANKS = (8, 16, 32)
EPOCHS = (3.0, 2.0, 1.0)

FEWEST_PAIRS, MOST_PAIRS = 4, 64
"""In a step. 64 are the authors' 4 × 2 on 8 GPUs."""
MOST_TOKENS = 16_384
"""In a step: QLoRA's 16 sequences, of 1,024 tokens."""
STEPS_AN_EPOCH = 100
"""As many at least, as long as a step has more than :data:`FEWEST_PAIRS`."""

RATE_OF_7B, WIDTH_OF_7B, FALLS_BY = 2e-4, 4096, 0.78
HIGHEST_RATE = 1e-3
FULL_SHARE = 0.1
DIGITS = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0)
"""Digits that a chosen rate may have: it is not known more exactly."""

PATIENCE = 3


@dataclass(frozen=True, slots=True)
class Basis:
    """All that a recipe follows from. ``adapter``: rank and alpha of the one there is."""

    settings: FinetuningSettings
    size: ModelSize
    data: Data
    machine: Machine
    adapter: tuple[int, int] | None


Choice = tuple[Any, str]
"""A value, and why."""


def choices(basis: Basis) -> dict[str, Choice]:
    settings = basis.settings
    method = _method(basis)
    rank, alpha = _rank_and_alpha(basis, method[0])
    return {
        "method": method,
        "dtype": _dtype(basis.machine),
        "epochs": _given(settings.epochs) or epochs_for(basis.data.pairs),
        "learning_rate": _given(settings.learning_rate) or learning_rate_for(basis.size, method[0]),
        "packing": _given(settings.packing) or _packing(basis),
        "lora_rank": rank,
        "lora_alpha": alpha,
        "lora_dropout": _dropout(basis, method[0]),
        "attention": _attention(basis),
        "liger": _liger(basis),
        "patience": _given(settings.patience) or _patience(basis.data),
    }


def _given(value: object) -> Choice | None:
    """What the settings say; None where they leave the choice."""
    return None if value is None else (value, GIVEN)


def _method(basis: Basis) -> Choice:
    asked, machine = basis.settings.method, basis.machine
    if asked == "qlora" and not machine.quantizes:
        raise ExtraMissing(
            "finetuning.method: qlora needs bitsandbytes, which this environment lacks.",
            hint="pip install 'llamaduo[qlora]', or set finetuning.method to lora.",
        )
    if asked != "auto":
        return asked, GIVEN
    if machine.device != "cuda":
        return "lora", f"{machine.name}: 4-bit weights are slow to unpack"
    if machine.quantizes:
        return "qlora", "Table 5: the base in 4 bits, a quarter of the memory"
    return "lora", "Table 5's QLoRA needs pip install 'llamaduo[qlora]'"


def _dtype(machine: Machine) -> Choice:
    if machine.bf16:
        return "bfloat16", "Table 5"
    return "float32", f"{machine.name}: bf16 is slow"


def _by_volume(pairs: int, values: Sequence[Any]) -> Choice:
    """Of ``values``, the one for so many pairs."""
    place = sum(pairs > volume for volume in VOLUMES)
    bound = f"up to {VOLUMES[place] // 1024} k" if place < len(VOLUMES) else "more than 32 k"
    return values[place], f"{pairs:,} pairs: {bound}"


def epochs_for(pairs: int) -> tuple[float, str]:
    """Three over little data, one over much, as in the Handbook; and why."""
    return _by_volume(pairs, EPOCHS)


def _rank_and_alpha(basis: Basis, method: Method) -> tuple[Choice, Choice]:
    settings = basis.settings
    if method == "full":
        return (0, "no adapter"), (0, "no adapter")
    if basis.adapter is not None and method == "lora":  # QLoRA merges it and begins anew
        reason = "of the adapter that training goes on with"
        return (basis.adapter[0], reason), (basis.adapter[1], reason)
    by_volume, reason = _by_volume(basis.data.pairs, RANKS)
    rank = _given(settings.lora_rank) or (by_volume, f"Table 5; {reason}")
    alpha = _given(settings.lora_alpha) or (2 * rank[0], "Table 5: twice the rank")
    return rank, alpha


def learning_rate_for(size: ModelSize, method: Method) -> tuple[float, str]:
    """By the width: 1e-3 for SmolLM2-135M, 2e-4 for 7 B, a tenth of it for all weights; and
    why."""
    by_width = RATE_OF_7B * (WIDTH_OF_7B / size.hidden) ** FALLS_BY
    rate = _rounded(min(by_width, HIGHEST_RATE))
    if method == "full":
        return _exactly(FULL_SHARE * rate), f"width {size.hidden:,}; a tenth of LoRA's"
    return rate, f"width {size.hidden:,}; QLoRA's 2e-4 at {WIDTH_OF_7B:,}, more below"


def _rounded(rate: float) -> float:
    power = 10.0 ** math.floor(math.log10(rate))
    nearest = min(DIGITS, key=lambda digit: abs(math.log(rate / power / digit)))
    return _exactly(nearest * power)


def _exactly(rate: float) -> float:
    """The number that is written with two digits, free of what multiplying adds."""
    return float(f"{rate:.1e}")


def _dropout(basis: Basis, method: Method) -> Choice:
    if method == "full":
        return 0.0, "no adapter"
    if (given := _given(basis.settings.lora_dropout)) is not None:
        return given
    if basis.machine.device == "cuda":
        return 0.05, "Table 5"
    return 0.0, f"{basis.machine.name}: dropout takes half as long again"


def _attention(basis: Basis) -> Choice:
    asked, machine = basis.settings.attention, basis.machine
    if asked == "flash_attention_2":
        _require_kernel(asked, "attention: flash_attention_2", "flash-attn", machine)
    # On a processor all is bounded: documents.py.
    if asked == "sdpa" and basis.size.softcapped and machine.device != "cpu":
        raise StageFailed(
            "finetuning.attention: sdpa cannot bound attention scores, as this model does.",
            hint="Leave finetuning.attention unset, or set it to eager.",
        )
    if asked is not None:
        return asked, GIVEN
    if "flash_attention_2" in machine.kernels:
        return "flash_attention_2", "flash-attn is installed"
    if basis.size.softcapped:
        return "eager", "the model bounds its attention scores, which sdpa cannot"
    return "sdpa", "PyTorch's own"


def _liger(basis: Basis) -> Choice:
    asked, machine = basis.settings.liger, basis.machine
    if asked:
        _require_kernel("liger", "liger: true", "liger-kernel", machine)
    if asked is not None:
        return asked, GIVEN
    if "liger" in machine.kernels:
        return True, "liger-kernel is installed"
    return False, "liger-kernel is not installed" if machine.device == "cuda" else "for GPUs"


def _require_kernel(kernel: str, setting: str, package: str, machine: Machine) -> None:
    if kernel in machine.kernels:
        return
    if machine.device == "cuda" and machine.bf16:
        raise ExtraMissing(
            f"finetuning.{setting} needs {package}, which this environment lacks.",
            hint=f"pip install {package}, or leave it unset: it is used where it is installed.",
        )
    raise StageFailed(
        f"finetuning.{setting}: {package} does not run on {machine.name}.",
        hint=f"Leave finetuning.{setting.partition(':')[0]} unset: what is fast here is chosen.",
    )


def _patience(data: Data) -> Choice:
    if data.validation:
        return PATIENCE, "validations without improvement"
    return 0, "no validation"


def step_tokens(basis: Basis) -> tuple[float, str]:
    """Tokens in an optimizer step, and why."""
    settings, data = basis.settings, basis.data
    if settings.batch_size is not None:
        return settings.batch_size * data.mean, f"{settings.batch_size} pairs, {GIVEN}"
    if settings.batch_tokens is not None:
        return settings.batch_tokens, GIVEN
    pairs = min(max(data.pairs / STEPS_AN_EPOCH, FEWEST_PAIRS), MOST_PAIRS)
    if pairs * data.mean > MOST_TOKENS:
        return MOST_TOKENS, "the most: LoRA learns less from larger steps"
    if pairs == FEWEST_PAIRS:
        return pairs * data.mean, f"{FEWEST_PAIRS} pairs: many steps from little data"
    if pairs == MOST_PAIRS:
        return pairs * data.mean, f"{MOST_PAIRS} pairs: LoRA learns less from larger steps"
    return pairs * data.mean, f"{pairs:.0f} pairs: {STEPS_AN_EPOCH} steps an epoch"


def _packing(basis: Basis) -> Choice:
    data = basis.data
    if basis.settings.batch_size is not None:
        return False, "batch_size counts pairs"
    if basis.settings.batch_tokens is None and data.pairs <= FEWEST_PAIRS * STEPS_AN_EPOCH:
        return False, f"little data: steps of {FEWEST_PAIRS} pairs each"
    if 2 * data.mean > data.window:
        return False, f"pairs of {data.mean:.0f} tokens fill a row of {data.window:,} alone"
    if step_tokens(basis)[0] < data.window:
        return False, f"a step is less than a row of {data.window:,} tokens"
    return True, f"pairs of {data.mean:.0f} tokens in rows of {data.window:,}"
