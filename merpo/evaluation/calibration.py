"""Calibration of critics: Q at the starts of episodes beside the discounted return that the policies earned."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from merpo.lazy import torch

__all__ = ["Calibration", "CalibrationRow", "calibration"]


class CalibrationRow(NamedTuple):
    """One task: what its critic expected of the adapted policy, and what this earned, in units of reward."""

    discount: float
    expected: float
    earned: float


class Calibration(BaseModel):
    """Numbers per unseen task; empty for a method without a critic, or where nothing was measured.

    Episodes that time cuts earn nothing afterwards, while Q counts on going on: where γ to the power of the horizon is
    not small, Q should be above.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    discount: list[float] = []  # γ
    expected: list[float] = []  # mean Q of the adapted policy's actions at the starts of its episodes
    earned: list[float] = []  # mean discounted return of these episodes

    def rows(self) -> list[CalibrationRow]:
        """The tasks."""
        return [CalibrationRow(*row) for row in zip(self.discount, self.expected, self.earned, strict=True)]


def calibration(discount: torch.Tensor, values: torch.Tensor, earned: torch.Tensor) -> Calibration:
    """From γ [T], Q at the starts of episodes [T, E] and their discounted returns [T, E]."""
    if not bool(values.isfinite().all()):
        return Calibration()
    means = (x.double().mean(1).tolist() for x in (values, earned))
    return Calibration(discount=discount.double().tolist(), **dict(zip(("expected", "earned"), means, strict=True)))
