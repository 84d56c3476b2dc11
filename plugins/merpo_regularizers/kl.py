"""The KL regularizers of Eq. (9)."""

from __future__ import annotations

from typing import final

from merpo import PolicyRegularizer, Streams, TanhGaussian
from merpo.lazy import torch

__all__ = ["KL", "gaussian_kl"]


@final
class KL(PolicyRegularizer):
    """Eq. (9): reverse KL to the behaviour policy, on the data's actions, and KL(π_n‖π_c) to the meta-policy."""

    name = "kl"

    def to_behavior(
        self, policy: TanhGaussian, behavior: TanhGaussian, actions: torch.Tensor, noise: Streams
    ) -> torch.Tensor:
        """Eq. (9). E_D[log π̂_β(a|s) − log π_n(a|s)], [T]: a divergence with the gradient of −E_D[log π_n]."""
        return behavior.log_ratio(policy, actions).mean(-1)

    def to_meta(self, policy: TanhGaussian, meta: TanhGaussian, noise: Streams) -> torch.Tensor:
        """E_{s~ρ_n}[KL(π_n(·|s)‖π_c(·|s))], [T]."""
        return gaussian_kl(policy, meta).mean(-1)


def gaussian_kl(p: TanhGaussian, q: TanhGaussian) -> torch.Tensor:
    """KL(p‖q) per state [..., B], in closed form: that of the Gaussians, as KL is invariant under tanh, a bijection."""
    ratio = 2.0 * (p.log_std - q.log_std)
    distance = ((p.mean - q.mean) * (-q.log_std).exp()).square()
    return 0.5 * (ratio.exp() + distance - 1.0 - ratio).sum(-1)
