"""Critics Q(s, a), or Q(s, a, z) with a task's context z, with a leading critic dim, such as twin critics."""

from __future__ import annotations

from collections.abc import Sequence

from merpo.lazy import torch
from merpo.nn.nets import init_mlp, mlp, with_context
from merpo.types import Params, Spec

__all__ = ["critic_values", "init_critics"]


def init_critics(
    spec: Spec, hidden: Sequence[int], generator: torch.Generator, critics: int = 2, context_dim: int = 0
) -> Params:
    """Parameters of independently initialised critics [critic, ...]; 2 of them for clipped double Q."""
    return init_mlp([spec.observation_dim + spec.action_dim + context_dim, *hidden, 1], generator, (critics,))


def critic_values(
    params: Params, observations: torch.Tensor, actions: torch.Tensor, context: torch.Tensor | None = None
) -> torch.Tensor:
    """Q_i of every critic i at observations [T, B, O], actions [T, B, A] and a context z [T, Z]: [T, critic, B]."""
    inputs = with_context(torch.cat([observations, actions], dim=-1), context)
    return mlp(params, inputs.unsqueeze(-3)).squeeze(-1)
