"""Means over tasks and seeds with bootstrap intervals, and the share of the gap to the oracle that was closed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from merpo.errors import MerpoError
from merpo.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Table: TypeAlias = "Sequence[float] | Sequence[Sequence[float]] | NDArray[np.float64]"

__all__ = ["Interval", "bootstrap", "gap_closed", "gap_interval", "mean", "paired_difference"]

RESAMPLES = 4000
SEED = 20240601  # any fixed number: the same values must give the same interval


@dataclass(frozen=True)
class Interval:
    """A mean and the ends of its 95 % interval."""

    mean: float
    low: float
    high: float


def mean(values: Table) -> float:
    """The mean over all tasks and seeds."""
    return float(_table(values).mean())


def bootstrap(values: Table, level: float = 0.95, resamples: int = RESAMPLES, seed: int = SEED) -> Interval:
    """The percentile bootstrap interval of the mean of `values` [task] or [seed, task].

    Seeds share their tasks, so both are drawn with replacement, independently (the crossed bootstrap): the interval
    speaks about new tasks and new seeds alike. Raises `MerpoError` where a value is not finite or there is none.
    """
    return _interval([_table(values)], lambda drawn: drawn[0], level, resamples, seed)


def paired_difference(first: Table, second: Table, level: float = 0.95) -> Interval:
    """The interval of the mean of `first - second`, paired by task (and seed), so that hard tasks do not widen it."""
    a, b = _table(first), _table(second)
    _same_shape(a, b)
    return bootstrap(a - b, level)


def gap_closed(achieved: float, behavior: float, oracle: float) -> float | None:
    """(J − B)/(O − B); None where the oracle is no better than the behaviour policy, so that there is no gap."""
    gap = oracle - behavior
    return (achieved - behavior) / gap if gap > 1e-9 * max(1.0, abs(oracle), abs(behavior)) else None


def gap_interval(achieved: Table, behavior: Table, oracle: Table, level: float = 0.95) -> Interval | None:
    """The gap closed by the mean returns, with the interval of this ratio of means.

    None where there is no gap, or none that can be told from chance: the ratio then has no bounds.
    """
    tables = [_table(values) for values in (achieved, behavior, oracle)]
    _same_shape(*tables)
    j, b, o = (float(table.mean()) for table in tables)
    if gap_closed(j, b, o) is None or paired_difference(oracle, behavior, level).low <= 0:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        return _interval(tables, lambda d: np.where(d[2] > d[1], (d[0] - d[1]) / (d[2] - d[1]), np.nan), level)


def _interval(
    tables: list[NDArray[np.float64]],
    statistic: Callable[[list[NDArray[np.float64]]], NDArray[np.float64]],
    level: float,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Interval:
    """`statistic` of the tables' means, and of the means of tables with seeds and tasks drawn again."""
    generator = np.random.default_rng(seed)
    seeds, tasks = tables[0].shape
    rows = generator.multinomial(seeds, [1 / seeds] * seeds, resamples) / seeds  # how often each seed is drawn
    columns = generator.multinomial(tasks, [1 / tasks] * tasks, resamples) / tasks
    drawn = statistic([np.einsum("rs,st,rt->r", rows, table, columns) for table in tables])
    center = statistic([np.asarray([table.mean()]) for table in tables])
    low, high = np.nanquantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(center[0]), float(low), float(high))


def _table(values: Table) -> NDArray[np.float64]:
    """`values` as an array [seed, task]."""
    table = np.atleast_2d(np.asarray(values, dtype=np.float64))
    if table.ndim != 2 or table.size == 0:
        raise MerpoError(
            f"statistics: got values of shape {np.shape(values)}, expected [task] or [seed, task], not empty"
        )
    if not np.isfinite(table).all():
        seed, task = (int(i) for i in np.argwhere(~np.isfinite(table))[0])
        raise MerpoError(
            f"statistics: the value of seed {seed}, task {task} is {table[seed, task]}, expected a finite number"
        )
    return table


def _same_shape(*tables: NDArray[np.float64]) -> None:
    shapes = [table.shape for table in tables]
    if len(set(shapes)) > 1:
        raise MerpoError(f"statistics: paired values have the shapes [seed, task] {shapes}, expected equal ones")
