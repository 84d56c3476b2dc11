"""Stacked multi-layer perceptrons: one batched product per layer for all tasks, members and critics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from merpo.lazy import F, torch
from merpo.nn.kernels import Shape, stacked_mlp
from merpo.nn.packed import Packed
from merpo.types import Params

__all__ = ["init_mlp", "layers", "mlp", "with_context"]


def init_mlp(
    sizes: Sequence[int],
    generator: torch.Generator,
    lead: Sequence[int] = (),
    prefix: str = "",
    head_scale: float = 1.0,
) -> Params:
    """Weights `w{i}` [*lead, in, out] and biases `b{i}` [*lead, out], uniform in ±1/√in like PyTorch's linear layers.

    Every slice of `lead` is drawn independently. `head_scale` multiplies the last layer.
    """
    params: Params = {}
    last = len(sizes) - 2
    for i, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        bound = 1.0 / math.sqrt(fan_in) * (head_scale if i == last else 1.0)
        for key, shape in ((f"{prefix}w{i}", (fan_in, fan_out)), (f"{prefix}b{i}", (fan_out,))):
            params[key] = (torch.rand((*lead, *shape), generator=generator) * 2.0 - 1.0) * bound
    return params


def layers(params: Params, prefix: str = "") -> int:
    """The number of layers of an MLP."""
    return sum(1 for key in params if key.startswith(f"{prefix}w") and key[len(prefix) + 1 :].isdigit())


def mlp(
    params: Params, inputs: torch.Tensor, activation: Literal["relu", "silu"] = "relu", prefix: str = ""
) -> torch.Tensor:
    """Outputs of an MLP, [*lead, B, in] -> [*lead, B, out]; parameters without leading dims are shared by all.

    Packed parameters (`merpo.nn.packed`) go through `merpo.nn.kernels`; the result is the same up to rounding.
    """
    if isinstance(params, Packed):
        outputs = _packed_mlp(params, inputs, activation, prefix)
        if outputs is not None:
            return outputs
    hidden = inputs
    depth = layers(params, prefix)
    for i in range(depth):
        hidden = hidden @ params[f"{prefix}w{i}"] + params[f"{prefix}b{i}"].unsqueeze(-2)
        if i < depth - 1:
            hidden = F.relu(hidden) if activation == "relu" else F.silu(hidden)
    return hidden


def with_context(inputs: torch.Tensor, context: torch.Tensor | None) -> torch.Tensor:
    """Inputs [..., B, D] joined with a context z [..., Z] of all rows, or [..., B, Z] of each row: [..., B, D + Z]."""
    if context is None:
        return inputs
    if context.dim() < inputs.dim():
        context = context.unsqueeze(-2)
    return torch.cat([inputs, context.expand(*inputs.shape[:-1], context.shape[-1])], dim=-1)


def _packed_mlp(
    params: Packed, inputs: torch.Tensor, activation: Literal["relu", "silu"], prefix: str
) -> torch.Tensor | None:
    """The outputs from padded tensors, or None where the leading dims of inputs and parameters do not match."""
    stack = params.stack(prefix)
    if stack is None or inputs.dim() < 2:
        return None
    lead, rows = stack.lead, inputs.shape[-2:]
    shape = Shape(stack.network.sizes, stack.network.folded, activation)
    if not lead:  # one network for all rows
        outputs = stacked_mlp(inputs.reshape(1, -1, rows[1]), stack.weights, stack.biases, shape)
        return outputs.view(*inputs.shape[:-1], -1)
    if inputs.dim() != len(lead) + 2 or any(n not in (1, size) for n, size in zip(inputs.shape, lead, strict=False)):
        return None
    if len(lead) == 1 and inputs.shape[0] == lead[0]:
        return stacked_mlp(inputs, stack.weights, stack.biases, shape)
    wide = inputs.expand(*lead, *rows).reshape(-1, *rows)
    return stacked_mlp(wide, stack.weights, stack.biases, shape).view(*lead, rows[0], -1)
