"""What PEFT and transformers compute in many passes over memory, in few.

A training step of a small model on a processor is half matrix products and half passes over
tensors that are as large as the activations. A LoRA layer of PEFT makes four such passes besides
its products, a normalization of transformers about twelve. Here the small products are added in
place, and the normalization keeps one number a token for its gradient. The results are those of
the originals up to rounding. Imports torch: load lazily.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from peft.tuners.lora.layer import Linear as LoraLinear
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def fuse(model: nn.Module) -> int:
    """Quicken the layers of ``model`` that are known to compute what is computed here; the
    others stay as they are. How many were replaced."""
    replaced = 0
    for module in model.modules():
        forward = _fused_lora(module) or _fused_norm(module)
        if forward is not None:
            module.forward = forward
            replaced += 1
    return replaced


# --- LoRA ---------------------------------------------------------------------------------


def _fused_lora(module: nn.Module) -> Callable[..., Tensor] | None:
    """One plain adapter on one plain matrix, nothing dropped."""
    if type(module) is not LoraLinear or len(module.active_adapters) != 1 or module.merged:
        return None
    (name,) = module.active_adapters
    base = module.base_layer
    plain = (
        type(base) is nn.Linear
        and base.bias is None
        and base.weight.dtype == torch.float32
        and not base.weight.requires_grad
        and isinstance(module.lora_dropout[name], nn.Identity)
        and name not in module.lora_variant
        and not module.lora_bias[name]
    )
    if not plain:
        return None
    down, up, scaling = module.lora_A[name], module.lora_B[name], module.scaling[name]

    def forward(x: Tensor, *_: Any, **__: Any) -> Tensor:
        return _Lora.apply(x, base.weight, down.weight, up.weight, scaling)  # type: ignore[no-any-return,no-untyped-call]

    return forward


class _Lora(torch.autograd.Function):
    """x·Wᵀ + s·(x·Aᵀ)·Bᵀ."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, a: Tensor, b: Tensor, s: float) -> Tensor:
        flat = x.reshape(-1, x.shape[-1])
        inner = flat @ a.t()
        ctx.save_for_backward(flat, w, a, b, inner)
        ctx.scaling, ctx.shape = s, x.shape
        return (flat @ w.t()).addmm_(inner, b.t(), alpha=s).view(*x.shape[:-1], -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        flat, w, a, b, inner = ctx.saved_tensors
        grad = grad.reshape(-1, grad.shape[-1])
        grad_inner = (grad @ b).mul_(ctx.scaling)
        grad_b = (grad.t() @ inner).mul_(ctx.scaling)
        grad_x = None
        if ctx.needs_input_grad[0]:  # not so in the first layer: the embeddings are frozen
            grad_x = (grad @ w).addmm_(grad_inner, a).view(ctx.shape)
        return grad_x, None, grad_inner.t() @ flat, grad_b, None


# --- normalization ------------------------------------------------------------------------

_NORMS = frozenset(
    f"{family}RMSNorm" for family in ("Llama", "Mistral", "Qwen2", "Qwen3", "Phi3", "SmolLM3")
)
"""Those that multiply by their weight; Gemma's multiply by one more than it."""


def _fused_norm(module: nn.Module) -> Callable[..., Tensor] | None:
    weight: Any = getattr(module, "weight", None)
    if type(module).__name__ not in _NORMS or weight.requires_grad:
        return None
    if weight.dtype != torch.float32:
        return None
    epsilon: Any = module.variance_epsilon

    def forward(hidden_states: Tensor) -> Tensor:
        return _Norm.apply(hidden_states, weight, epsilon)  # type: ignore[no-any-return,no-untyped-call]

    return forward


class _Norm(torch.autograd.Function):
    """w · x / √(mean(x²) + ε), for a frozen w."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, epsilon: float) -> Tensor:
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        scale = length.square_().div_(x.shape[-1]).add_(epsilon).rsqrt_()
        ctx.save_for_backward(x, w, scale)
        product: Tensor = x * scale
        return product.mul_(w)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, w, scale = ctx.saved_tensors
        grad = grad * w
        along = torch.linalg.vecdot(grad, x).unsqueeze(-1)
        along.mul_(scale.pow(3)).div_(-x.shape[-1])
        return grad.mul_(scale).addcmul_(x, along), None, None
