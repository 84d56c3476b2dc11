"""Gradients and optimisers for stacked parameters: every slice (task, member, critic) is optimised independently."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from merpo.lazy import torch
from merpo.nn.packed import leaves, like, rebuild
from merpo.nn.params import tree_map, weights
from merpo.types import Params

__all__ = ["AdamState", "adam", "adam_", "adam_init", "grad_of_sum", "gradient", "requires_grad", "sgd"]

BETAS, EPS = (0.9, 0.999), 1e-8  # Kingma and Ba


class AdamState(NamedTuple):
    """First and second moments, and the number of steps taken by each slice [*lead]."""

    m: Params
    v: Params
    t: torch.Tensor


def gradient(
    loss: Callable[[Params], torch.Tensor], params: Params, create_graph: bool = False
) -> tuple[torch.Tensor, Params]:
    """(losses per slice, gradient of their sum) with respect to the trainable part of `params`.

    The sum, not the mean, gives each slice the gradient of its own loss. With `create_graph` the result can be
    differentiated again (second-order MAML).
    """
    inputs = params if create_graph else requires_grad(params)
    with torch.enable_grad():
        losses = loss(inputs)
        grads = grad_of_sum(losses, inputs, create_graph)
    return losses if create_graph else losses.detach(), grads


def requires_grad(params: Params) -> Params:
    """The same parameters, detached, with the trainable part requiring gradients."""
    trainable = {key: value.detach().requires_grad_(True) for key, value in leaves(weights(params)).items()}
    return rebuild(params, {**leaves(params), **trainable})


def grad_of_sum(losses: torch.Tensor, params: Params, create_graph: bool = False) -> Params:
    """The gradient of the sum of `losses` with respect to the trainable part of `params` from `requires_grad`."""
    trainable = leaves(weights(params))
    grads = torch.autograd.grad(losses.sum(), list(trainable.values()), create_graph=create_graph)
    return rebuild(params, dict(zip(trainable, grads, strict=True)))


def adam_init(params: Params, dims: int) -> AdamState:
    """The initial Adam state for `params` whose first `dims` dims index slices."""
    zeros = tree_map(torch.zeros_like, weights(params))
    first = next(iter(leaves(zeros).values()))
    return AdamState(zeros, tree_map(torch.zeros_like, zeros), first.new_zeros(first.shape[:dims]))


def adam(params: Params, grads: Params, state: AdamState, lr: float) -> tuple[Params, AdamState]:
    """One Adam step, out of place and differentiable, equal to `torch.optim.Adam` on each slice separately."""
    b1, b2 = BETAS
    t = state.t + 1
    rate = lr * (1 - b2**t).sqrt() / (1 - b1**t)  # the two bias corrections
    floor = EPS * (1 - b2**t).sqrt()
    old, first, second = leaves(params), leaves(state.m), leaves(state.v)
    new, m_new, v_new = dict(old), {}, {}
    for key, grad in leaves(like(params, grads)).items():
        lead = (...,) + (None,) * (grad.dim() - t.dim())
        m = torch.lerp(first[key], grad, 1 - b1)
        v = (second[key] * b2).addcmul(grad, grad, value=1 - b2)
        new[key] = old[key] - rate[lead] * m / (v.sqrt() + floor[lead])
        m_new[key], v_new[key] = m, v
    return rebuild(params, new), AdamState(rebuild(state.m, m_new), rebuild(state.v, v_new), t)


def adam_(params: Params, grads: Params, state: AdamState, lr: float, decay: float = 0.0) -> None:
    """The same step in place, in PyTorch's fused loop, which touches each number once; used in training.

    `decay` times the parameters is added to their gradients.
    """
    dense = {key: grad.contiguous() for key, grad in leaves(like(params, grads)).items()}
    own, first, second = (leaves(tree) for tree in (params, state.m, state.v))
    columns = [[tree[key] for key in dense] for tree in (own, dense, first, second)]
    if not all(leaf.is_contiguous() for column in columns for leaf in column):
        raise ValueError("adam_: got a strided view, expected contiguous tensors: the fused loop has no strides")
    if not _same_steps(state.t):  # slices with different numbers of steps: one by one
        columns = [[row for leaf in column for row in leaf.flatten(0, state.t.dim() - 1)] for column in columns]
        steps = list(state.t.flatten().repeat(len(dense)).unbind())
    else:
        steps = list(state.t.flatten()[0].expand(len(dense)).clone().unbind())  # each counter is incremented
    _fused_adam(columns, steps, lr, decay)
    state.t.add_(1)


def _same_steps(t: torch.Tensor) -> bool:
    """Whether all slices took the same number of steps. False on a GPU, where the comparison would stall the stream."""
    return t.device.type == "cpu" and bool((t == t.flatten()[0]).all())


def _fused_adam(columns: list[list[torch.Tensor]], steps: list[torch.Tensor], lr: float, decay: float) -> None:
    """PyTorch's functional Adam on parameters, gradients, m and v, with one step counter per tensor."""
    from torch.optim.adam import adam as torch_adam

    params, grads, m, v = columns
    torch_adam(
        params, grads, m, v, [], steps, fused=True, amsgrad=False, beta1=BETAS[0], beta2=BETAS[1], lr=lr,
        weight_decay=decay, eps=EPS, maximize=False,
    )  # fmt: skip


def sgd(params: Params, grads: Params, lr: float) -> Params:
    """One plain gradient step, out of place and differentiable."""
    old, gradients = leaves(params), leaves(like(params, grads))
    return rebuild(params, {**old, **{key: old[key] - lr * grad for key, grad in gradients.items()}})
