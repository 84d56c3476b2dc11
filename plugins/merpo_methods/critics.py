"""What adapted critics say of actions."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from merpo import Adapted, Critic, RacSettings
    from merpo.lazy import torch

__all__ = ["expected_return"]


def expected_return(
    critic: Critic, rac: RacSettings, adapted: Adapted, observations: torch.Tensor, actions: torch.Tensor
) -> torch.Tensor:
    """The mean of each task's critics [T, B], in the rewards' own units."""
    values = critic.value(adapted.artifacts["critic"], observations, actions)
    return values.mean(1) / rac.reward_scale
