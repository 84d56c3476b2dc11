"""Schedulers of α, the balance between regularization by the behaviour policy and by the meta-policy."""

from __future__ import annotations

from typing import final

from pydantic import Field

from merpo import AlphaScheduler
from merpo.lazy import torch

__all__ = ["Adaptive", "Fixed", "Relative"]


@final
class Fixed(AlphaScheduler):
    """MerPO: the same α throughout. 0 regularizes by the meta-policy only (Eq. (6)), 1 by the behaviour policy only."""

    name = "fixed"

    initial: float = Field(0.4, ge=0, le=1, description="α of every task (Table 2).")

    def update(self, alpha: torch.Tensor, to_behavior: torch.Tensor, to_meta: torch.Tensor) -> torch.Tensor:
        """α unchanged, [T]."""
        return alpha


@final
class Adaptive(AlphaScheduler):
    """MerPO-Adp: one gradient step of Eq. (11) per task and iteration, kept in [0.1, 0.5]."""

    name = "adaptive"

    initial: float = Field(0.4, ge=0, le=1, description="Initial α of every task (A.2.2).")
    learning_rate: float = Field(1e-4, ge=0, le=1, description="Step size of the gradient step (A.2.2).")
    low: float = Field(0.1, ge=0, le=1, description="Lower bound of α (Eq. (11)).")
    high: float = Field(0.5, ge=0, le=1, description="Upper bound of α (Eq. (11)).")

    def model_post_init(self, _: object) -> None:
        """Refuse bounds that are crossed or leave `initial` outside."""
        _check_order(self.low, self.initial, self.high)

    def update(self, alpha: torch.Tensor, to_behavior: torch.Tensor, to_meta: torch.Tensor) -> torch.Tensor:
        """Eq. (11). One descent step on (1 − α)(D(π_n, π_β) − D(π_n, π_c)): α grows where π_n is closer to π_c, [T]."""
        return (alpha + self.learning_rate * (to_behavior - to_meta)).clamp(self.low, self.high)


@final
class Relative(AlphaScheduler):
    """As `adaptive`, by the relative difference of the divergences: α moves at the same rate whatever their size."""

    name = "relative"

    initial: float = Field(0.4, ge=0, le=1, description="Initial α of every task (A.2.2).")
    updates: int = Field(
        10, ge=1, le=10**6, description="Updates, one every 10 RAC steps, in which α can pass from bound to bound."
    )
    low: float = Field(0.1, ge=0, le=1, description="Lower bound of α (Eq. (11)).")
    high: float = Field(0.5, ge=0, le=1, description="Upper bound of α (Eq. (11)).")

    def model_post_init(self, _: object) -> None:
        """Refuse bounds that are crossed or leave `initial` outside."""
        _check_order(self.low, self.initial, self.high)

    def update(self, alpha: torch.Tensor, to_behavior: torch.Tensor, to_meta: torch.Tensor) -> torch.Tensor:
        """α + (high − low) / updates · (D_β − D_c) / (|D_β| + |D_c|) between the bounds; unchanged where both are 0."""
        size = to_behavior.abs() + to_meta.abs()
        difference = torch.where(size > 0, (to_behavior - to_meta) / size.clamp_min(torch.finfo(size.dtype).tiny), 0.0)
        return (alpha + (self.high - self.low) / self.updates * difference).clamp(self.low, self.high)


def _check_order(low: float, initial: float, high: float) -> None:
    if not low <= initial <= high:
        raise ValueError(f"initial = {initial}, expected low = {low} <= initial <= high = {high}")
