"""Actions in units of their own, scaled to [-1, 1]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from merpo.errors import DatasetError
from merpo.lazy import np, torch

__all__ = ["Bound", "scale_actions"]

Bound: TypeAlias = "float | Sequence[float]"


def scale_actions(actions: torch.Tensor, low: Bound | None, high: Bound | None, name: str) -> torch.Tensor:
    """Actions [N, A] of the box from `low` to `high` (a number, or one per dimension) as actions in [-1, 1].

    Raises `DatasetError` for half a box, an empty one, and for actions outside of it.
    """
    if low is None and high is None:
        return actions
    if low is None or high is None:
        raise DatasetError(f"{name}: action_low and action_high are {low} and {high}, expected both or neither")
    try:
        ends = [torch.as_tensor(np.asarray(bound, dtype=np.float64)) for bound in (low, high)]
    except (TypeError, ValueError):
        raise DatasetError(
            f"{name}: action_low and action_high are {low!r:.40} and {high!r:.40}, expected numbers"
        ) from None
    dims = actions.shape[-1]
    for key, end in zip(("action_low", "action_high"), ends, strict=True):
        if end.dim() > 1 or (end.dim() == 1 and len(end) != dims) or not bool(end.isfinite().all()):
            raise DatasetError(f"{name}: {key} is {end.tolist()}, expected a finite number or {dims} of them")
    least, most = (end.expand(dims) for end in ends)
    if not bool((least < most).all()):
        raise DatasetError(f"{name}: action_low is {least.tolist()}, expected less than action_high {most.tolist()}")
    scaled = 2.0 * (actions.double() - least) / (most - least) - 1.0
    bad = scaled.abs() > 1.0 + 1e-5
    if bool(bad.any()):
        row, column = (int(i) for i in bad.nonzero()[0])
        box = f"[{float(least[column]):g}, {float(most[column]):g}]"
        raise DatasetError(
            f"{name}: actions is {float(actions[row, column]):g} at row {row}, column {column}, expected within {box}, "
            f"its bounds; {int(bad.any(-1).sum())} of {len(actions)} rows affected",
            at=("actions", row),
        )
    return scaled.float()
