"""The total-variation regularizer of Theorem 1: the maximum distance over states."""

from __future__ import annotations

from typing import final

from pydantic import Field

from merpo import PolicyRegularizer, Streams, TanhGaussian
from merpo.lazy import torch

__all__ = ["TotalVariation", "total_variation"]

ROUNDING = 1e-5  # error of a log-ratio in float32; below it the ratio's sign, and so the gradient, is noise


@final
class TotalVariation(PolicyRegularizer):
    """Theorem 1: max_s D_TV(π_n‖·) over the states of a batch, by Monte Carlo over actions."""

    name = "tv"

    samples: int = Field(16, ge=1, le=4096, description="Sampled actions per state.")

    def to_behavior(
        self, policy: TanhGaussian, behavior: TanhGaussian, actions: torch.Tensor, noise: Streams
    ) -> torch.Tensor:
        """max_s D_TV(π_n‖π̂_β) at the data's states, [T]."""
        return total_variation(policy, behavior, noise.normal(self.samples, *policy.mean.shape[-2:])).amax(-1)

    def to_meta(self, policy: TanhGaussian, meta: TanhGaussian, noise: Streams) -> torch.Tensor:
        """max_s D_TV(π_n‖π_c) at states of ρ_n, [T]."""
        return total_variation(policy, meta, noise.normal(self.samples, *policy.mean.shape[-2:])).amax(-1)


def total_variation(p: TanhGaussian, q: TanhGaussian, noise: torch.Tensor) -> torch.Tensor:
    """D_TV(p‖q) = E_{a~p}[max(0, 1 − q(a)/p(a))] per state [T, B], from `noise` [T, K, B, A]; differentiable in both.

    It is invariant under tanh, as KL is, and so computed between the Gaussians. Where the densities are equal up to
    rounding, as for a task's policy initialised with the meta-policy, distance and gradient are zero.
    """
    mean, log_std = p.mean[:, None], p.log_std[:, None]
    raw = mean + log_std.exp() * noise
    log_p = (-0.5 * noise.square() - log_std).sum(-1)
    log_q = (-0.5 * ((raw - q.mean[:, None]) * (-q.log_std[:, None]).exp()).square() - q.log_std[:, None]).sum(-1)
    log_ratio = log_q - log_p
    excess = (1.0 - log_ratio.exp()).clamp_min(0.0)
    return excess.masked_fill(log_ratio.abs() < ROUNDING, 0.0).mean(1)
