"""Gradients and optimisers, slice by slice: no step of one task ever touches another's numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from merpo.lazy import torch
from merpo.params import tree_map, weights
from merpo.types import Params

__all__ = ["AdamState", "adam", "adam_init", "gradient", "sgd"]


class AdamState(NamedTuple):
    """First and second moments, and the number of steps taken by each slice [*lead]."""

    m: Params
    v: Params
    t: torch.Tensor


def gradient(
    loss: Callable[[Params], torch.Tensor], params: Params, create_graph: bool = False
) -> tuple[torch.Tensor, Params]:
    """(losses per slice, gradient of their sum) with respect to the trainable part of `params`.

    The sum, never the mean: each slice then gets the gradient of its own loss. With `create_graph` the result can be
    differentiated again (second-order MAML).
    """
    leaves = weights(params)
    if not create_graph:
        leaves = {key: value.detach().requires_grad_(True) for key, value in leaves.items()}
    with torch.enable_grad():
        losses = loss({**params, **leaves})
        grads = torch.autograd.grad(losses.sum(), list(leaves.values()), create_graph=create_graph)
    return losses if create_graph else losses.detach(), dict(zip(leaves, grads, strict=True))


def adam_init(params: Params, dims: int) -> AdamState:
    """Zero moments for `params` whose first `dims` dims tell slices apart."""
    zeros = {key: torch.zeros_like(value) for key, value in weights(params).items()}
    first = next(iter(zeros.values()))
    return AdamState(zeros, tree_map(torch.zeros_like, zeros), first.new_zeros(first.shape[:dims]))


def adam(
    params: Params,
    grads: Params,
    state: AdamState,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> tuple[Params, AdamState]:
    """One Adam step, out of place, equal to `torch.optim.Adam` on each slice alone."""
    b1, b2 = betas
    t = state.t + 1
    rate = lr * (1 - b2**t).sqrt() / (1 - b1**t)  # the two bias corrections
    floor = eps * (1 - b2**t).sqrt()
    new, m_new, v_new = dict(params), {}, {}
    for key, grad in grads.items():
        lead = (...,) + (None,) * (grad.dim() - t.dim())
        m = torch.lerp(state.m[key], grad, 1 - b1)
        v = (state.v[key] * b2).addcmul(grad, grad, value=1 - b2)
        new[key] = params[key] - rate[lead] * m / (v.sqrt() + floor[lead])
        m_new[key], v_new[key] = m, v
    return new, AdamState(m_new, v_new, t)


def sgd(params: Params, grads: Params, lr: float) -> Params:
    """One plain gradient step, out of place and differentiable."""
    return {**params, **{key: params[key] - lr * grad for key, grad in grads.items()}}
