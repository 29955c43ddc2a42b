"""How large a model is: from its configuration and the headers of its weights, not the weights.

Memory and time are reckoned by this before anything is loaded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llamaduo.errors import ModelError

_NO_TARGET = re.compile(r"embed|lm_head|wte|wpe|vision|multi_modal|audio")
"""Names of matrices that LoRA leaves alone: embeddings, the head, and what reads no text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSize:
    """What the reckoning needs of a decoder-only model."""

    parameters: int
    layers: int
    hidden: int
    intermediate: int
    """Width of a feed-forward block, between its two projections."""
    heads: int
    query_width: int
    """All heads together."""
    key_width: int
    """All key heads together, and as wide the values."""
    vocabulary: int
    softcapped: bool = False
    """Gemma 2's: attention scores are bounded in a way that PyTorch's fused kernel cannot."""
    linears: tuple[tuple[int, int], ...]
    """Both sides of every matrix within the layers, which are those that LoRA adapts."""

    @property
    def linear_parameters(self) -> int:
        """Those that every token is multiplied by, and that QLoRA quantizes."""
        return sum(rows * columns for rows, columns in self.linears)

    @property
    def other_parameters(self) -> int:
        """Embeddings, head and norms."""
        return max(0, self.parameters - self.linear_parameters)

    @property
    def largest_linear(self) -> int:
        return max((rows * columns for rows, columns in self.linears), default=0)

    def adapter_parameters(self, rank: int) -> int:
        return rank * sum(rows + columns for rows, columns in self.linears)


def size_of(folder: Path) -> ModelSize:
    """The size of the model in ``folder``, which was checked.

    Raises:
        ModelError: its configuration has no dimensions, or no matrices to train.
    """
    from transformers import AutoConfig

    whole = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    text: Any = whole.get_text_config(decoder=True)
    shapes = _shapes(folder)
    linears = tuple(
        (shape[0], shape[1])
        for name, shape in sorted(shapes.items())
        if len(shape) == 2 and not _NO_TARGET.search(name)
    )
    if not linears:
        raise ModelError(
            f"{folder} has no matrices that LoRA could adapt: its weights are not those of a"
            " transformer.",
            hint="Use a decoder-only model of the Llama kind.",
        )
    try:
        return _sized(text, sum(map(_product, shapes.values())), linears)
    except (AttributeError, TypeError) as error:
        raise ModelError(
            f"{folder / 'config.json'} does not say how wide the model is: {error}.",
            hint="Use a decoder-only model of the Llama kind.",
        ) from error


def _sized(config: Any, parameters: int, linears: tuple[tuple[int, int], ...]) -> ModelSize:
    hidden, heads = int(config.hidden_size), int(config.num_attention_heads)
    head = int(getattr(config, "head_dim", None) or hidden // heads)
    keys = int(getattr(config, "num_key_value_heads", None) or heads)
    return ModelSize(
        parameters=parameters,
        layers=int(config.num_hidden_layers),
        hidden=hidden,
        heads=heads,
        intermediate=int(getattr(config, "intermediate_size", None) or 4 * hidden),
        query_width=heads * head,
        key_width=keys * head,
        vocabulary=int(config.vocab_size),
        softcapped=getattr(config, "attn_logit_softcapping", None) is not None,
        linears=linears,
    )


def _shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Every tensor's shape by its name. Of a whole file beside shards, transformers prefers the
    whole one."""
    from safetensors import safe_open

    whole = folder / "model.safetensors"
    shapes: dict[str, tuple[int, ...]] = {}
    for path in [whole] if whole.is_file() else sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="numpy") as file:
            for name in file.keys():  # noqa: SIM118  # it is no dict
                shapes[name] = tuple(file.get_slice(name).get_shape())
    return shapes


def _product(shape: tuple[int, ...]) -> int:
    product = 1
    for side in shape:
        product *= side
    return product
