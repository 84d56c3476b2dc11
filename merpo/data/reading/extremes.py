"""Extreme values: the range of every column of a dataset, and the values that lie far from all others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from merpo.data.dataset import TaskDataset
from merpo.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FAR", "Extreme", "extremes", "most_extreme", "range_lines"]

FAR = 1000.0  # times the median distance from the median, beyond which a value is told
SAMPLE = 100_000  # rows from which medians are taken, evenly spaced ones where there are more
SHOWN = 20  # columns whose range an import prints


class Extreme(NamedTuple):
    """The value of a column that is farthest from its median."""

    key: str  # the array
    row: int
    column: int
    value: float
    median: float
    distance: float  # from the median, in median distances; infinite where most values are equal


def extremes(key: str, array: NDArray[Any]) -> Iterator[Extreme]:
    """The extreme of every column [N] or [N, .] in which some value differs from the median."""
    table = array[:, None] if array.ndim == 1 else array
    every = -(-len(table) // SAMPLE)
    for column in range(table.shape[1]):
        values = table[:, column]
        sample = values[::every].astype(np.float64)
        median = float(np.median(sample))
        row = max(int(values.argmax()), int(values.argmin()), key=lambda i: abs(float(values[i]) - median))
        away = abs(float(values[row]) - median)
        if away > 0:
            usual = float(np.median(np.abs(sample - median)))
            yield Extreme(key, row, column, float(values[row]), median, away / usual if usual > 0 else np.inf)


def most_extreme(data: TaskDataset) -> Extreme | None:
    """The most extreme value of a dataset's observations and rewards, None if it has none that is far from others.

    A column of which most values are equal counts by the size of its values.
    """
    found = [
        one
        for key in ("observations", "next_observations", "rewards")
        for one in extremes(key, getattr(data, key).numpy())
    ]
    far = [one for one in found if FAR < one.distance < np.inf]
    huge = [one for one in found if one.distance == np.inf and abs(one.value) > 1e6]
    return max([*far, *huge], key=lambda one: abs(one.value), default=None)


def range_lines(datasets: Sequence[TaskDataset], names: Sequence[str]) -> list[str]:
    """A line with the least and the greatest value of every column over datasets of equal dims, as stored."""
    parts = []
    for key in ("observations", "actions", "rewards"):
        arrays = [getattr(data, key).numpy() for data in datasets]
        lows = np.min([np.atleast_1d(array.min(axis=0)) for array in arrays], axis=0).tolist()
        highs = np.max([np.atleast_1d(array.max(axis=0)) for array in arrays], axis=0).tolist()
        parts += list(zip(lows, highs, strict=True))
    ranges = [f"{name} {low:.5g} to {high:.5g}" for name, (low, high) in zip(names, parts, strict=True)]
    if len(ranges) > SHOWN:
        ranges = [*ranges[: SHOWN - 1], f"and {len(ranges) - SHOWN + 1} columns more, which merpo data show lists"]
    return [f"ranges, as stored: {'; '.join(ranges)}"]
