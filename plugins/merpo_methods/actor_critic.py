"""What methods have in common whose tasks learn by Algorithm 1: squashed Gaussians and critics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import merpo
from merpo import Method, Params

if TYPE_CHECKING:
    from merpo import Adapted, Critic, RacSettings
    from merpo.lazy import torch

__all__ = ["ActorCritic"]


class ActorCritic(Method):
    """Acting, and what the critics say of it."""

    if TYPE_CHECKING:  # fields of every method that derives from it, at the places that it gives them
        critic: Critic
        rac: RacSettings

    def act(self, policy: Params, observations: torch.Tensor) -> torch.Tensor:
        """The mode of the squashed Gaussian."""
        return merpo.act(policy, observations)

    def sample(self, policy: Params, observations: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """A draw of the squashed Gaussian."""
        return merpo.act(policy, observations, noise)

    def value(self, adapted: Adapted, observations: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """The mean of the task's critics [T, B], in the rewards' own units."""
        values = self.critic.value(adapted.artifacts["critic"], observations, actions)
        return values.mean(1) / self.rac.reward_scale
