"""A scheduler of α: one class, one line of mathematics."""

from __future__ import annotations

from typing import final

from pydantic import Field

from merpo import AlphaScheduler
from merpo.lazy import torch

__all__ = ["Halving"]


@final
class Halving(AlphaScheduler):
    """α goes half of the way to its goal at every update."""

    name = "halving"

    initial: float = Field(0.4, ge=0, le=1, description="First α of every task.")
    goal: float = Field(0.1, ge=0, le=1, description="Where α goes.")

    def update(self, alpha: torch.Tensor, to_behavior: torch.Tensor, to_meta: torch.Tensor) -> torch.Tensor:
        """The middle between α [T] and the goal."""
        return (alpha + self.goal) / 2
