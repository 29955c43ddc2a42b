"""Attention that goes pair by pair through a packed row. Imports torch: load lazily.

A mask over a whole row of 1,024 tokens makes the processor multiply ten times what the pairs of
95 tokens in it need, and is a third of the time of a step. Here each pair attends within its own
borders (``cu_seq_lens_q``, the name that transformers gives them), so nothing can leak either.
What a model does before and after attention it does with the whole row.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import dropout as drop_out
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

DOCUMENTS = "llamaduo_documents"
"""The name under which transformers knows this attention, once :func:`register` was called."""


def register() -> None:
    """Make :data:`DOCUMENTS` known to transformers. It has no mask: the borders say it all."""
    AttentionInterface.register(DOCUMENTS, attend)


def attend(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,  # noqa: ARG001  # the signature is transformers'
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    cu_seq_lens_q: Tensor,
    **_: Any,
) -> tuple[Tensor, None]:
    """Causal attention within each pair of a single row: 1 × heads × tokens × size."""
    lengths = cu_seq_lens_q.diff().tolist()
    dropout = dropout if module.training else 0.0
    pairs = zip(*(torch.split(each, lengths, dim=2) for each in (query, key, value)), strict=True)
    parts = [
        _one(*pair, scaling=scaling, dropout=dropout, window=sliding_window, softcap=softcap)
        for pair in pairs
    ]
    return torch.cat(parts, dim=2).transpose(1, 2).contiguous(), None


def _one(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    scaling: float | None,
    dropout: float,
    window: int | None,
    softcap: float | None,
) -> Tensor:
    tokens = query.shape[2]
    slides = window is not None and tokens > window
    if softcap is not None:
        return _capped(query, key, value, _mask(tokens, window, query), scaling, dropout, softcap)
    return scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=_mask(tokens, window, query) if slides else None,
        dropout_p=dropout,
        is_causal=not slides,
        scale=scaling,
        enable_gqa=query.shape[1] != key.shape[1],
    )


def _mask(tokens: int, window: int | None, like: Tensor) -> Tensor:
    """True where a token looks: at itself and back, at most ``window`` tokens in all."""
    place = torch.arange(tokens, device=like.device)
    back = place[:, None] - place[None, :]
    return (back >= 0) & (back < (tokens if window is None else window))


def _capped(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor,
    scaling: float | None,
    dropout: float,
    softcap: float,
) -> Tensor:
    """With scores bent towards ±``softcap``, as Gemma 2 has it and no fused kernel here does."""
    share = query.shape[1] // key.shape[1]
    key, value = (each.repeat_interleave(share, dim=1) for each in (key, value))
    scores = query @ key.mT * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    scores = softcap * torch.tanh(scores / softcap)
    weights = scores.masked_fill(~mask, float("-inf")).softmax(dim=-1, dtype=torch.float32)
    return drop_out(weights.to(query.dtype), dropout) @ value
