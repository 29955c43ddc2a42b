"""Weights as a GPU gets them."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoModelForCausalLM

from llamaduo.inference.loading import in_bfloat16
from llamaduo.records import Checkpoint


def test_weights_of_16_bits_leave_positions_in_32(tiny: Checkpoint) -> None:
    """As transformers has it where it loads in 16 bits: ``model.to(dtype)`` rounds those, too."""
    untyped: Any = AutoModelForCausalLM
    whole, rounded, expected = (
        untyped.from_pretrained(tiny.base, dtype=dtype).eval()
        for dtype in (torch.float32, torch.float32, torch.bfloat16)
    )
    tokens = torch.arange(200)[None]
    with torch.inference_mode():
        wanted = expected(tokens).logits
        assert torch.equal(in_bfloat16(whole)(tokens).logits, wanted)
        assert not torch.equal(rounded.to(torch.bfloat16)(tokens).logits, wanted)
