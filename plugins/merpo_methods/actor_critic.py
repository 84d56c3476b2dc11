"""Functions shared by the methods that adapt with Algorithm 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from merpo import Adapted, Critic
    from merpo.lazy import torch

__all__ = ["critic_mean"]


def critic_mean(critic: Critic, adapted: Adapted, observations: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
    """The mean of each task's adapted critics [T, B] at actions [T, B, A], in units of reward."""
    values = critic.value(adapted.artifacts["critic"], observations, actions)
    return values.mean(1) / adapted.artifacts["scales"]["reward_scale"].to(values.dtype).view(-1, 1)
