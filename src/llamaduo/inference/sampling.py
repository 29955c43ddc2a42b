"""Pick the next token: greedy, or nucleus sampling with given random numbers."""

from __future__ import annotations

import torch
from torch import Tensor

_HEADS = (256, 4096)
"""How many tokens to look for the nucleus in, before the whole vocabulary: sorting that costs
as much as the rest of the step on a CPU."""


def choose(logits: Tensor, uniforms: Tensor, *, temperature: float, top_p: float) -> Tensor:
    """One token id for each row.

    Args:
        logits: rows × vocabulary.
        uniforms: one number in [0, 1) for each row.
        temperature: 0 takes the likeliest token.
        top_p: sample from the smallest set of likeliest tokens with at least this share of
            the probability.
    """
    if temperature == 0:
        return logits.argmax(dim=-1)
    probabilities = torch.softmax(logits.float() / temperature, dim=-1)
    if top_p >= 1:
        return _pick(probabilities, uniforms)
    weights, tokens = _nucleus(probabilities, top_p)
    return tokens.gather(-1, _pick(weights, uniforms)[:, None])[:, 0]


def _nucleus(probabilities: Tensor, top_p: float) -> tuple[Tensor, Tensor]:
    """The likeliest tokens, likeliest first, with weight 0 beyond the nucleus."""
    vocabulary = probabilities.shape[-1]
    for size in (*_HEADS, vocabulary):
        weights, tokens = probabilities.topk(min(size, vocabulary))
        if bool((weights.sum(dim=-1) >= top_p).all()):
            break
    before = weights.cumsum(dim=-1) - weights
    return weights.masked_fill(before >= top_p, 0.0), tokens


def _pick(weights: Tensor, uniforms: Tensor) -> Tensor:
    """The index at which the running sum of ``weights`` passes its row's share of the total."""
    sums = weights.double().cumsum(dim=-1)
    total = sums[:, -1:]
    # A product that rounds up to the total would point past the last token with any weight.
    marks = torch.minimum(
        uniforms.double()[:, None] * total, total.nextafter(torch.zeros_like(total))
    )
    return torch.searchsorted(sums, marks, right=True)[:, 0]
