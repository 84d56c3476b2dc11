"""What a user decides about the reading of logs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal, NamedTuple, TypeAlias, get_args

from merpo.errors import DatasetError

__all__ = ["GAPS", "Bound", "Choices", "Gaps", "check_gaps"]

Bound: TypeAlias = "float | Sequence[float]"
Gaps: TypeAlias = Literal["refuse", "drop", "hold"]
GAPS: tuple[str, ...] = get_args(Gaps)


class Choices(NamedTuple):
    """Decisions that hold for every source of logs: arrays, files and Minari's datasets."""

    action_low: Bound | None = None  # a number, or one per dimension, scaled to -1
    action_high: Bound | None = None
    clip_actions: bool = False  # move actions outside of their bounds to these, and count them
    gaps: Gaps = "refuse"  # of a missing value: refuse it, leave its episode out, or repeat the value before it
    subtract: Bound | None = None  # from observations, in double precision: a number, or one per dimension
    flatten: bool = False  # make one row of numbers of each matrix or image
    missing: Sequence[float] = ()  # numbers that stand for missing values
    leave_out: Collection[int] = ()  # numbers of episodes, from 0


def check_gaps(gaps: str, name: str) -> None:
    """Raise `DatasetError` unless `gaps` is one of `GAPS`."""
    if gaps not in GAPS:
        raise DatasetError(f"{name}: gaps is {gaps!r:.40}, expected one of {', '.join(GAPS)}")
