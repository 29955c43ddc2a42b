"""A Llama as GGUF names its parts: from ``config.json`` and the stored tensors. No weights here."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llamaduo.deployment.gguf_splitting import OTHERWISE
from llamaduo.deployment.model_files import StoredTensor, read_json
from llamaduo.errors import ExportUnsupported, ModelError

_LAYER = {  # transformers' name to llama.cpp's
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The sizes of a Llama. ``rope_factors`` slow down each pair of a head's dimensions
    (Llama 3.1's scaling), by one factor a pair; empty without scaling."""

    window: int
    width: int
    layers: int
    inner: int
    heads: int
    kv_heads: int
    head_width: int
    vocabulary: int
    epsilon: float
    rope_base: float
    rope_factors: tuple[float, ...]
    tied: bool


@dataclass(frozen=True, slots=True)
class Part:
    """One tensor under its name in GGUF. ``heads`` is set where its rows must be reordered."""

    name: str
    stored: StoredTensor
    heads: int | None = None


def read_shape(model: Path) -> Shape:
    """The shape of the model in the folder ``model``.

    Raises:
        ExportUnsupported: it is no Llama, or one with what llama.cpp's Llama lacks.
        ModelError: ``config.json`` is missing or damaged.
    """
    config = read_json(model / "config.json")
    if not config:
        raise ModelError(f"{model / 'config.json'} is missing.", hint="Is this a model folder?")
    for reason in _reasons(config):
        raise ExportUnsupported(f"{model} cannot be written to GGUF: {reason}.", hint=OTHERWISE)
    try:
        return _shape(config)
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise ModelError(
            f"{model / 'config.json'} lacks a number that a Llama needs, or has a wrong one:"
            f" {error}.",
            hint="Use the config.json that belongs to these weights.",
        ) from error


def _reasons(config: Mapping[str, Any]) -> Iterator[str]:
    if config.get("architectures") != ["LlamaForCausalLM"]:
        named = json.dumps(config.get("architectures") or "unknown").strip('[]"')
        yield f"its architecture is {named}, and only LlamaForCausalLM is covered"
    if config.get("quantization_config"):
        yield "its weights are quantized already"
    if config.get("attention_bias") or config.get("mlp_bias"):
        yield "its layers have biases"
    if config.get("hidden_act", "silu") != "silu":
        yield f"its activation is {config['hidden_act']}, not silu"
    kind = _rope(config).get("rope_type", "default")
    if kind not in {"default", "llama3"}:
        yield f"its positions are scaled by {kind}; only Llama 3's way is covered"


def _rope(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the rotary positions, under the names of transformers 5."""
    found = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
    found.setdefault("rope_type", found.get("type", "default"))
    found.setdefault("rope_theta", config.get("rope_theta", 10000.0))
    return found


def _shape(config: Mapping[str, Any]) -> Shape:
    heads, width = int(config["num_attention_heads"]), int(config["hidden_size"])
    head_width = int(config.get("head_dim") or width // heads)
    return Shape(
        window=int(config["max_position_embeddings"]),
        width=width,
        layers=int(config["num_hidden_layers"]),
        inner=int(config["intermediate_size"]),
        heads=heads,
        kv_heads=int(config.get("num_key_value_heads") or heads),
        head_width=head_width,
        vocabulary=int(config["vocab_size"]),
        epsilon=float(config["rms_norm_eps"]),
        rope_base=float(_rope(config)["rope_theta"]),
        rope_factors=tuple(_rope_factors(_rope(config), head_width)),
        tied=bool(config.get("tie_word_embeddings", False)),
    )


def _rope_factors(rope: Mapping[str, Any], head_width: int) -> Iterator[float]:
    """Llama 3.1's scaling: long waves by the whole factor, short ones not, between smoothly."""
    if rope["rope_type"] != "llama3":
        return
    factor, old = float(rope["factor"]), float(rope["original_max_position_embeddings"])
    low, high = float(rope["low_freq_factor"]), float(rope["high_freq_factor"])
    for pair in range(0, head_width, 2):
        wave = 2 * math.pi * rope["rope_theta"] ** (pair / head_width)
        smooth = min(1.0, max(0.0, (old / wave - low) / (high - low)))
        yield 1 / ((1 - smooth) / factor + smooth)


def read_parts(model: Path, shape: Shape, stored: Mapping[str, StoredTensor]) -> tuple[Part, ...]:
    """Every tensor of the GGUF file, in its order.

    Raises:
        ExportUnsupported: the model has a tensor that a Llama has not.
        ModelError: it lacks one, or one has another shape than ``config.json`` says.
    """
    left = {name: tensor for name, tensor in stored.items() if not name.endswith("inv_freq")}
    if shape.tied:
        left.pop("lm_head.weight", None)  # the embedding again
    parts = []
    for name, source, expected, heads in _expected(shape):
        tensor = left.pop(source, None)
        if tensor is None or tensor.shape != expected:
            found = "missing" if tensor is None else f"of shape {tensor.shape}"
            raise ModelError(
                f"{model}: {source} is {found}, and {expected} by config.json.",
                hint="Use the config.json that belongs to these weights.",
            )
        parts.append(Part(name, tensor, heads))
    for name in left:
        raise ExportUnsupported(
            f"{model} cannot be written to GGUF: it has {name}, which no Llama has.",
            hint=OTHERWISE,
        )
    return tuple(parts)


def _expected(shape: Shape) -> Iterator[tuple[str, str, tuple[int, ...], int | None]]:
    """Name in GGUF, name in transformers, shape, and the heads to reorder, of each tensor."""
    yield "token_embd.weight", "model.embed_tokens.weight", (shape.vocabulary, shape.width), None
    queries, values = shape.heads * shape.head_width, shape.kv_heads * shape.head_width
    shapes: dict[str, tuple[int, ...]] = {
        "attn_norm": (shape.width,),
        "attn_q": (queries, shape.width),
        "attn_k": (values, shape.width),
        "attn_v": (values, shape.width),
        "attn_output": (shape.width, queries),
        "ffn_norm": (shape.width,),
        "ffn_gate": (shape.inner, shape.width),
        "ffn_up": (shape.inner, shape.width),
        "ffn_down": (shape.width, shape.inner),
    }
    heads = {"attn_q": shape.heads, "attn_k": shape.kv_heads}
    for layer in range(shape.layers):
        for source, name in _LAYER.items():
            yield (
                f"blk.{layer}.{name}.weight",
                f"model.layers.{layer}.{source}.weight",
                shapes[name],
                heads.get(name),
            )
    yield "output_norm.weight", "model.norm.weight", (shape.width,), None
    if not shape.tied:
        yield "output.weight", "lm_head.weight", (shape.vocabulary, shape.width), None
