"""Scores as arrays [seed, task] of finite numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from merpo.errors import MerpoError
from merpo.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[np.float64]
    Scores: TypeAlias = "Sequence[Sequence[float]] | Array"  # [seed, task]

__all__ = ["paired_tables", "same_tasks", "table_of", "values_of"]


def table_of(scores: Scores) -> Array:
    """Scores as an array; raises `MerpoError` where there are none, or one is not finite."""
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2 or table.size == 0:
        raise MerpoError(f"statistics: got scores of shape {table.shape}, expected [seed, task], not empty")
    if not np.isfinite(table).all():
        seed, task = (int(i) for i in np.argwhere(~np.isfinite(table))[0])
        raise MerpoError(
            f"statistics: the score of seed {seed}, task {task} is {table[seed, task]}, expected a finite number"
        )
    return table


def values_of(values: Sequence[float] | Array) -> Array:
    """One number per independent run as an array [n]; raises `MerpoError` where there is none, or one is not finite."""
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1 or found.size == 0:
        raise MerpoError(f"statistics: got values of shape {found.shape}, expected a list of numbers, not empty")
    if not np.isfinite(found).all():
        place = int(np.argwhere(~np.isfinite(found))[0][0])
        raise MerpoError(f"statistics: value {place} is {found[place]}, expected a finite number")
    return found


def paired_tables(*scores: Scores) -> list[Array]:
    """Tables of equal shape; raises `MerpoError` where they differ."""
    tables = [table_of(one) for one in scores]
    shapes = [table.shape for table in tables]
    if len(set(shapes)) > 1:
        raise MerpoError(f"statistics: paired scores have the shapes [seed, task] {shapes}, expected equal ones")
    return tables


def same_tasks(first: Scores, second: Scores) -> tuple[Array, Array]:
    """Two tables of the same number of tasks; raises `MerpoError` where they differ."""
    x, y = table_of(first), table_of(second)
    if x.shape[1] != y.shape[1]:
        raise MerpoError(f"statistics: got {x.shape[1]} and {y.shape[1]} tasks, expected the same ones")
    return x, y
