"""A regularizer with both directions of the KL divergence."""

from __future__ import annotations

from typing import final

from pydantic import Field

from merpo import PolicyRegularizer, Streams, TanhGaussian
from merpo.lazy import torch

__all__ = ["Jeffreys"]


@final
class Jeffreys(PolicyRegularizer):
    """A weighted sum of KL(π‖π'), which is mode-seeking, and KL(π'‖π), which is mode-covering (Jeffreys, 1946)."""

    name = "jeffreys"

    weight: float = Field(0.5, ge=0, le=1, description="Weight w of KL(π‖π'); that of KL(π'‖π) is 1 − w.")

    def to_behavior(
        self, policy: TanhGaussian, behavior: TanhGaussian, actions: torch.Tensor, noise: Streams
    ) -> torch.Tensor:
        """The divergence [T] from the behaviour clone in closed form; `actions` are not used."""
        return self._between(policy, behavior)

    def to_meta(self, policy: TanhGaussian, meta: TanhGaussian, noise: Streams) -> torch.Tensor:
        """The divergence [T] from the meta-policy."""
        return self._between(policy, meta)

    def _between(self, p: TanhGaussian, q: TanhGaussian) -> torch.Tensor:
        """The weighted sum of both directions, averaged over states: [T, B, A] -> [T]."""
        return (self.weight * _kl(p, q) + (1 - self.weight) * _kl(q, p)).mean(-1)


def _kl(p: TanhGaussian, q: TanhGaussian) -> torch.Tensor:
    """KL(p‖q) per state [T, B]; that of the Gaussians, as tanh is a bijection."""
    ratio = 2 * (p.log_std - q.log_std)
    distance = ((p.mean - q.mean) * (-q.log_std).exp()).square()
    return 0.5 * (ratio.exp() + distance - 1 - ratio).sum(-1)
