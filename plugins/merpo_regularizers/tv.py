"""The regularizer of Theorem 1: the maximum total-variation distance over states."""

from __future__ import annotations

from typing import final

from pydantic import Field

from merpo import PolicyRegularizer, Streams, TanhGaussian
from merpo.lazy import torch

__all__ = ["TotalVariation", "total_variation"]

ROUNDING = 1e-5  # of a log-ratio in float32; below it the sign is noise, and of the sign is the gradient


@final
class TotalVariation(PolicyRegularizer):
    """Theorem 1: max_s D_TV(π_n‖·) over the states of a batch, by Monte Carlo over actions."""

    name = "tv"

    samples: int = Field(16, ge=1, le=4096, description="Actions drawn per state.")

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

    Like KL it does not change under tanh, so it is taken between the Gaussians. Where both densities are the same but
    for rounding, as of a task's policy that starts from the meta-policy, there is nothing to pay and no gradient.
    """
    mean, log_std = p.mean[:, None], p.log_std[:, None]
    raw = mean + log_std.exp() * noise
    log_p = (-0.5 * noise.square() - log_std).sum(-1)
    log_q = (-0.5 * ((raw - q.mean[:, None]) * (-q.log_std[:, None]).exp()).square() - q.log_std[:, None]).sum(-1)
    log_ratio = log_q - log_p
    paid = (1.0 - log_ratio.exp()).clamp_min(0.0)
    return paid.masked_fill(log_ratio.abs() < ROUNDING, 0.0).mean(1)
