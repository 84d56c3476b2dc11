"""The divisor with which a column of data is standardised; its floor follows the scale of the column."""

from __future__ import annotations

from merpo.lazy import torch

__all__ = ["ACTION_STD", "divisor"]

ACTION_STD = 0.1  # least divisor of an action dim, whose box is [-1, 1]: a policy may leave the data's actions
ROUNDING = 1e-5  # of a column's largest value: float32 has seven digits, so a smaller std is rounding error
NEARLY = 1e-2  # of a column's largest value: the least divisor of a column that varies


def divisor(std: torch.Tensor, largest: torch.Tensor) -> torch.Tensor:
    """The divisor of columns with this standard deviation and largest absolute value, elementwise.

    The std, but at least 1 % of the largest value, so that 5 ± 1e-4 is not scaled up until 5.1 saturates a network.
    A constant column is divided by its value, one of zeros by 1.
    """
    constant = torch.where(largest > 0, largest, torch.ones_like(largest))
    return torch.where(std > ROUNDING * largest, torch.maximum(std, NEARLY * largest), constant)
