"""Policies as they act when they are measured: by their modes, or by draws that a seed determines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from merpo.components.interfaces import Method
from merpo.nn.noise import Streams, derive_seed
from merpo.recipe.sections import PolicyKind
from merpo.types import Params

if TYPE_CHECKING:
    import torch

__all__ = ["Actor", "actor"]

Actor: TypeAlias = "Callable[[torch.Tensor], torch.Tensor]"  # observations [T, E, O] -> actions [T, E, A]


def actor(
    method: Method, policy: Params, kind: PolicyKind, action_dim: int, seed: int, tasks: Sequence[int], device: str
) -> Actor:
    """One policy per task of `tasks`, their indices: `policy` is [T, ...].

    Draws begin anew with each actor, and a task has the same ones whichever tasks are measured beside it.
    """
    if kind == "deterministic":
        return lambda observations: method.act(policy, observations)
    noise = Streams.seeded((derive_seed(seed, "evaluate", task) for task in tasks), device)
    return lambda observations: method.sample(policy, observations, noise.normal(observations.shape[1], action_dim))
