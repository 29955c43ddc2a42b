"""What a training takes: memory and time, by arithmetic alone.

The coefficients of activations were counted: what PyTorch 2.13 saves for the backward pass of
transformers' Llama, Gemma, Qwen and Phi, per token and layer (the tests count again). Weights,
gradients and optimizer are what they are by definition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llamaduo.finetuning.recipes.hardware import Machine
from llamaduo.finetuning.recipes.sizes import ModelSize
from llamaduo.records import Attention, Method, Precision

GB = 10**9

NF4_BYTES = 4.127 / 8
"""A weight in NF4, its share of the doubly quantized scales included (QLoRA, Section 3)."""
CONTEXT_BYTES = {"cpu": int(0.6 * GB), "cuda": GB}
"""What the libraries take before there is a model: Python with torch and transformers in memory,
or CUDA with its kernels and the workspace of cuBLAS on a GPU."""

SHARES: dict[tuple[str, Method], float] = {
    ("cpu", "lora"): 0.45,  # measured: SmolLM2-135M, two cores
    ("cpu", "full"): 0.45,
    ("cpu", "qlora"): 0.27,  # measured: every product unpacks its matrix first
    ("cuda", "lora"): 0.35,
    ("cuda", "full"): 0.40,
    ("cuda", "qlora"): 0.25,
}
"""The share of the device's peak that training reaches. Those of GPUs are taken, not measured:
``benchmarks/training/gpu.py`` measures them."""
LOADING_BYTES_A_SECOND = GB
STARTING_SECONDS = 10.0
"""A process that imports torch, transformers and peft."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One micro-batch on one device, at its longest. ``scored`` are the positions in a row that
    are projected to the vocabulary."""

    method: Method
    dtype: Precision
    rank: int
    dropout: bool
    checkpointing: bool
    attention: Attention
    liger: bool
    packing: bool
    rows: int
    row_tokens: int
    scored: int
    parallel: bool
    """Several processes average their gradients."""
    apart: bool
    """Attention goes pair by pair, without a mask over the row: ``documents.py``."""

    @property
    def number(self) -> int:
        """Bytes of a number of the computation."""
        return 2 if self.dtype == "bfloat16" else 4


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes on one device, by what they are for."""

    weights: int
    trained: int
    """Adapter, or nothing; gradients; the two moments of AdamW."""
    activations: int
    logits: int
    context: int

    @property
    def total(self) -> int:
        return self.weights + self.trained + self.activations + self.logits + self.context


def memory(size: ModelSize, load: Load, device: str) -> Memory:
    """The most that one device holds at once while it trains ``load``."""
    tokens = load.rows * load.row_tokens
    layer, held = _layer_bytes(size, load), _held(load, device)
    if load.checkpointing:  # every layer's input, and all of one layer at a time
        activations = tokens * (size.layers * size.hidden * load.number + 2 * layer)
    else:  # and the gradients of one layer
        activations = tokens * (size.layers + 1) * layer
    return Memory(
        weights=_weight_bytes(size, load),
        trained=_trained_bytes(size, load),
        activations=int(held * activations),
        logits=int(held * load.rows * load.scored * _logit_bytes(size, load)),
        context=CONTEXT_BYTES[device],
    )


def _held(load: Load, device: str) -> float:
    """How often what a step needs is held at once, as measured with SmolLM2: glibc fragments what
    is freed. ``MALLOC_MMAP_THRESHOLD_`` would save 6 to 17 % of the peak and costs 15 to 20 % of
    the time, which goes into pages that are mapped anew."""
    if device != "cpu":
        return 1.0
    return 2.0 if load.checkpointing or load.method == "qlora" else 1.3


def _weight_bytes(size: ModelSize, load: Load) -> int:
    if load.method == "full" and load.dtype == "bfloat16":
        return 6 * size.parameters  # in 32 bits, where a small step is not lost; and a 16-bit copy
    if load.method != "qlora":
        return load.number * size.parameters
    quantized = int(NF4_BYTES * size.linear_parameters) + load.number * size.other_parameters
    return quantized + 2 * load.number * size.largest_linear  # one is unpacked, one follows


def _trained_bytes(size: ModelSize, load: Load) -> int:
    """Gradients and moments are kept in what the trained weights are kept in."""
    if load.method == "full":
        return (12 + 4 * load.parallel) * size.parameters
    adapter = size.adapter_parameters(load.rank)
    return (16 + 4 * load.parallel) * adapter  # in 32 bits, whatever the base is kept in


def _layer_bytes(size: ModelSize, load: Load) -> int:
    """What one layer saves for one token."""
    hidden, inner = size.hidden, size.intermediate
    queries, keys = size.query_width, size.key_width
    heads = 3 * (queries + keys)
    if load.number == 4:
        saved = 4 * (4 * hidden + heads + 4 * inner)
    else:  # norms are computed in 32 bits
        saved = 20 * hidden + 2 * heads + 8 * inner
    if load.method == "full":
        saved += 2 * 4 * hidden  # what the norms' own gradients need
    if load.dropout:  # a copy of what every adapter reads, and its mask
        saved += 2 * load.number * (5 * hidden + queries + inner)
    if load.attention == "eager":
        saved += 8 * size.heads * load.row_tokens  # the scores, before and after softmax
    elif load.packing and load.attention == "sdpa" and not load.apart:
        saved += load.number * (load.row_tokens + hidden)  # the mask that isolates pairs
    return saved


def _logit_bytes(size: ModelSize, load: Load) -> int:
    """Of one position: the logits, in 32 bits if they are not yet, softmax, and gradients."""
    in_32_bits = 12 if load.number == 4 else 16
    if size.softcapped:
        in_32_bits += 2 * load.number
    whole = size.vocabulary * in_32_bits
    return whole // 8 if load.liger else whole  # Liger goes through them in chunks


# --- time -----------------------------------------------------------------------------------


def flops(size: ModelSize, load: Load, lengths: Sequence[tuple[int, int]]) -> float:
    """Floating-point operations of one epoch over pairs of these prompt and response tokens."""
    tokens = sum(prompt + response for prompt, response in lengths)
    scored = sum(response for _, response in lengths)
    forward = 2.0 * size.linear_parameters
    full = load.method == "full"
    # A frozen matrix passes the gradient on and has none of its own.
    per_token = forward * ((3 if full else 2) + load.checkpointing)
    per_token += 6.0 * (0 if full else size.adapter_parameters(load.rank))
    head = 2.0 * size.vocabulary * size.hidden * (3 if full else 2)
    attention = 4.0 * size.query_width * size.layers * (3 + load.checkpointing)
    return tokens * per_token + scored * head + attention * _looked_at(load, lengths)


def _looked_at(load: Load, lengths: Sequence[tuple[int, int]]) -> float:
    """Pairs of tokens of which the one attends to the other, masked ones included."""
    pair_by_pair = load.apart or load.attention == "flash_attention_2"
    if load.packing and not pair_by_pair:
        return float(load.row_tokens) * sum(map(sum, lengths))
    whole = float(sum(sum(pair) ** 2 for pair in lengths))
    return whole / 2 if load.attention == "flash_attention_2" else whole


def seconds(work: float, weights: int, method: Method, machine: Machine, processes: int) -> float:
    """How long ``work`` FLOPs take, with starting and loading. 0: nobody knows the peak."""
    if not machine.flops:
        return 0.0
    reached = machine.flops * SHARES[machine.device, method]
    # Processes on a CPU share its cores.
    devices = max(1, processes) if machine.device != "cpu" else 1
    starting = STARTING_SECONDS if processes else 0.0
    return work / (reached * devices) + weights / LOADING_BYTES_A_SECOND + starting
