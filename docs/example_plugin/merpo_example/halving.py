"""An α scheduler that halves the distance to a goal."""

from __future__ import annotations

from typing import final

from pydantic import Field

from merpo import AlphaScheduler
from merpo.lazy import torch

__all__ = ["Halving"]


@final
class Halving(AlphaScheduler):
    """Every update halves the distance of α to its goal."""

    name = "halving"

    initial: float = Field(0.4, ge=0, le=1, description="Initial α of every task.")
    goal: float = Field(0.1, ge=0, le=1, description="Limit of α.")

    def update(self, alpha: torch.Tensor, to_behavior: torch.Tensor, to_meta: torch.Tensor) -> torch.Tensor:
        """The mean of α [T] and the goal."""
        return (alpha + self.goal) / 2
