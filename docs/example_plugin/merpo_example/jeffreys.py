"""A regularizer that counts both directions of the KL divergence."""

from __future__ import annotations

from typing import final

from pydantic import Field

from merpo import PolicyRegularizer, Streams, TanhGaussian
from merpo.lazy import torch

__all__ = ["Jeffreys"]


@final
class Jeffreys(PolicyRegularizer):
    """KL(π‖π') and KL(π'‖π), weighted: the one keeps π inside of π', the other has it cover π' (Jeffreys, 1946)."""

    name = "jeffreys"

    weight: float = Field(0.5, ge=0, le=1, description="Share of KL(π‖π'); the rest is KL(π'‖π).")

    def to_behavior(
        self, policy: TanhGaussian, behavior: TanhGaussian, actions: torch.Tensor, noise: Streams
    ) -> torch.Tensor:
        """The divergence [T] from the behaviour policy's clone, in closed form; the data's actions are not used."""
        return self._between(policy, behavior)

    def to_meta(self, policy: TanhGaussian, meta: TanhGaussian, noise: Streams) -> torch.Tensor:
        """The divergence [T] from the meta-policy."""
        return self._between(policy, meta)

    def _between(self, p: TanhGaussian, q: TanhGaussian) -> torch.Tensor:
        """The weighted sum of both directions, averaged over states: [T, B, A] -> [T]."""
        return (self.weight * _kl(p, q) + (1 - self.weight) * _kl(q, p)).mean(-1)


def _kl(p: TanhGaussian, q: TanhGaussian) -> torch.Tensor:
    """KL(p‖q) per state [T, B]. Tanh is a bijection, so it is that of the Gaussians beneath."""
    ratio = 2 * (p.log_std - q.log_std)
    distance = ((p.mean - q.mean) * (-q.log_std).exp()).square()
    return 0.5 * (ratio.exp() + distance - 1 - ratio).sum(-1)
