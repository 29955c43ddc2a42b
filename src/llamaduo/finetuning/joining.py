"""Two adapters in a row as one: what a QLoRA that goes on from an adapter leaves behind.

Its training quantizes the base with the earlier adapter merged into it, and trains a new one on
top. Written down like that, every cycle would need a base of its own. But two products of thin
matrices are one product of wider ones, B₁A₁ + B₂A₂ = [B₁ B₂][A₁; A₂]: so both are written as one
adapter on the original base, whose rank is the sum of theirs. Imports torch: load lazily.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from llamaduo.errors import ModelError

_WEIGHTS, _CONFIG = "adapter_model.safetensors", "adapter_config.json"
_DOWN, _UP = ".lora_A.", ".lora_B."


def join(earlier: Path, later: Path) -> None:
    """Make the adapter in ``later`` do what ``earlier`` and it did, one after the other.

    Rows of trained tokens are ``later``'s: it went on with those of ``earlier``.

    Raises:
        ModelError: they adapt different layers.
    """
    first, second = load_file(earlier / _WEIGHTS), load_file(later / _WEIGHTS)
    odd = {n for n in first.keys() ^ second.keys() if _DOWN in n or _UP in n}
    if odd:
        raise ModelError(
            f"The adapter in {earlier} adapts other layers than a new one: {min(odd)} for one.",
            hint="Set finetuning.start_from: base, or start a new run with --name.",
        )
    configs = [json.loads((folder / _CONFIG).read_bytes()) for folder in (earlier, later)]
    scales = [float(config["lora_alpha"]) / config["r"] for config in configs]
    joined = {
        name: _joined(name, first.get(name), tensor, scales) for name, tensor in second.items()
    }
    save_file(joined, later / _WEIGHTS, metadata={"format": "pt"})
    rank = sum(int(config["r"]) for config in configs)
    changed: dict[str, Any] = configs[1] | {"r": rank, "lora_alpha": rank}
    (later / _CONFIG).write_text(json.dumps(changed, indent=2) + "\n", encoding="utf-8")


def _joined(
    name: str, first: torch.Tensor | None, second: torch.Tensor, scales: list[float]
) -> torch.Tensor:
    """The scales go into the one side, for the joined adapter has a single one, which is 1."""
    if first is not None and _DOWN in name:
        return torch.cat([first.to(second.dtype), second], dim=0).contiguous()
    if first is not None and _UP in name:
        parts = [part.float() * scale for part, scale in zip((first, second), scales, strict=True)]
        return torch.cat(parts, dim=1).to(second.dtype).contiguous()
    return second
