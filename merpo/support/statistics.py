"""Aggregates of scores [seed, task] with 95 % percentile bootstrap intervals.

Two ways of resampling. The crossed bootstrap draws seeds and tasks anew, so its intervals hold for new tasks and new
seeds. The stratified bootstrap (Agarwal et al., 2021) draws seeds anew within each task and keeps the tasks, so its
intervals hold for new seeds on these tasks; with a single seed it has none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from merpo.errors import MerpoError
from merpo.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[np.float64]
    Scores: TypeAlias = "Sequence[Sequence[float]] | Array"  # [seed, task]
    Values: TypeAlias = "Sequence[float] | Scores"  # [task] or [seed, task]

__all__ = [
    "Interval",
    "ScoreProfile",
    "bootstrap",
    "gap_closed",
    "gap_interval",
    "interquartile_mean",
    "iqm",
    "mean_difference",
    "mean_score",
    "median",
    "optimality_gap",
    "paired_difference",
    "performance_profile",
    "probability_of_improvement",
    "student",
]

LEVEL = 0.95
# Resamples and seed of either bootstrap; the seeds are arbitrary but fixed: equal scores give equal intervals.
CROSSED, CROSSED_SEED = 4000, 20240601
STRATIFIED, STRATIFIED_SEED = 2000, 20210830
_BLOCK = 2_000_000  # numbers held in memory at once


@dataclass(frozen=True)
class Interval:
    """A mean (or another aggregate) and the ends of its 95 % interval, which are None with a single seed."""

    mean: float
    low: float | None = None
    high: float | None = None

    @property
    def bounds(self) -> tuple[float, float]:
        """Both ends; the mean twice where there is no interval."""
        return self.mean if self.low is None else self.low, self.mean if self.high is None else self.high

    def excludes(self, value: float) -> bool:
        """Whether there is an interval and `value` is outside of it."""
        return self.low is not None and not self.bounds[0] <= value <= self.bounds[1]

    def __rsub__(self, value: float) -> Interval:
        """`value` minus this number, such as `1 - p`."""
        low, high = (None if end is None else value - end for end in (self.high, self.low))
        return Interval(value - self.mean, low, high)


@dataclass(frozen=True)
class ScoreProfile:
    """The fraction of runs (seed and task) that score above each of `thresholds`, with 95 % bands."""

    thresholds: list[float]
    share: list[float]
    low: list[float] | None = None
    high: list[float] | None = None


# 97.5 % quantiles of Student's t with 1, 2, ... degrees of freedom
STUDENT = (
    12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281, 2.2010, 2.1788, 2.1604, 2.1448,
    2.1314, 2.1199, 2.1098, 2.1009, 2.0930,
)  # fmt: skip


def student(values: Sequence[float]) -> Interval:
    """The mean of independent `values`, such as of runs with different seeds, with its 95 % interval by Student's t.

    No interval for a single value. Raises `MerpoError` where a value is not finite or there is none.
    """
    (table,) = _paired([list(values)])
    flat = table.ravel()
    mean, n = float(flat.mean()), len(flat)
    if n == 1:
        return Interval(mean)
    quantile = STUDENT[n - 2] if n - 2 < len(STUDENT) else 2.0930  # of 19 degrees: on the safe side beyond
    half = quantile * float(flat.std(ddof=1)) / n**0.5
    return Interval(mean, mean - half, mean + half)


def bootstrap(values: Values, resamples: int = CROSSED) -> Interval:
    """The mean of `values` with its crossed bootstrap interval.

    Raises `MerpoError` where a value is not finite or there is none.
    """
    (table,) = _paired(values)
    return _interval(float(table.mean()), _percentiles(_crossed([table], resamples)))


def paired_difference(first: Values, second: Values) -> Interval:
    """The mean of `first - second`, paired by task (and seed), so that hard tasks do not widen the interval."""
    a, b = _paired(first, second)
    return bootstrap(a - b)


def gap_closed(achieved: float, behavior: float, oracle: float) -> float | None:
    """(J − B)/(O − B); None where the oracle is no better than the behaviour policy, so that there is no gap."""
    gap = oracle - behavior
    return (achieved - behavior) / gap if gap > 1e-9 * max(1.0, abs(oracle), abs(behavior)) else None


def gap_interval(achieved: Values, behavior: Values, oracle: Values) -> Interval | None:
    """The gap closed by the mean returns, with the crossed bootstrap interval of this ratio of means.

    None where the interval of the gap itself includes 0: the ratio is then unbounded.
    """
    tables = _paired(achieved, behavior, oracle)
    closed = gap_closed(*(float(table.mean()) for table in tables))
    if closed is None or paired_difference(oracle, behavior).bounds[0] <= 0:
        return None
    j, b, o = _crossed(tables)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _interval(closed, _percentiles([np.where(o > b, (j - b) / (o - b), np.nan)]))


def interquartile_mean(values: Array) -> Array:
    """The mean of the middle half of all runs: values [..., run] -> [...]; each side loses a quarter, rounded down."""
    ordered = np.sort(values, axis=-1)
    cut = ordered.shape[-1] // 4
    middle: Array = ordered[..., cut : ordered.shape[-1] - cut].mean(axis=-1)
    return middle


def iqm(scores: Scores) -> Interval:
    """The interquartile mean over all runs."""
    return _stratified_interval(lambda drawn: interquartile_mean(drawn.reshape(len(drawn), -1)), _table(scores))


def median(scores: Scores) -> Interval:
    """The median over tasks of the means over seeds."""
    return _stratified_interval(lambda drawn: np.median(drawn.mean(axis=1), axis=-1), _table(scores))


def mean_score(scores: Scores) -> Interval:
    """The mean over all runs."""
    return _stratified_interval(_means, _table(scores))


def optimality_gap(scores: Scores) -> Interval:
    """The mean over all runs of max(0, 1 - score), where 1 is the oracle's score."""
    return mean_score(np.maximum(0.0, 1.0 - _table(scores)))


def mean_difference(first: Scores, second: Scores) -> Interval:
    """The mean of `first` minus that of `second` on the same tasks; the seeds of each are drawn independently."""
    return _stratified_interval(lambda x, y: _means(x) - _means(y), *_same_tasks(first, second))


def probability_of_improvement(first: Scores, second: Scores) -> Interval:
    """P(X > Y) for runs X of `first` and Y of `second` on the same task, mean over tasks; a tie counts half."""

    def better(x: Array, y: Array) -> Array:
        difference = x[:, :, None] - y[:, None]
        share: Array = ((difference > 0) + 0.5 * (difference == 0)).mean(axis=(1, 2, 3))
        return share

    return _stratified_interval(better, *_same_tasks(first, second))


def performance_profile(scores: Scores, thresholds: Sequence[float]) -> ScoreProfile:
    """The fraction of runs above each threshold."""
    table, levels = _table(scores), np.asarray(thresholds, dtype=np.float64)

    def share(drawn: Array) -> Array:
        return np.stack([(drawn > level).mean(axis=(1, 2)) for level in levels], axis=-1)

    found = share(table[None])[0].tolist()
    if len(table) == 1:
        return ScoreProfile(list(thresholds), found)
    low, high = _percentiles(share(drawn) for drawn in _stratified(table))
    return ScoreProfile(list(thresholds), found, low.tolist(), high.tolist())


def _stratified_interval(statistic: Callable[..., Array], *tables: Array) -> Interval:
    """`statistic` of stacks [R, seed, task] of each of `tables`; there is no interval where one has a single seed."""
    center = float(statistic(*(table[None] for table in tables))[0])
    if min(map(len, tables)) == 1:
        return Interval(center)
    pairs = math.prod(map(len, tables))  # numbers per task that a statistic of all combinations of seeds holds
    stacks = [_stratified(table, STRATIFIED_SEED + i, pairs // len(table)) for i, table in enumerate(tables)]
    return _interval(center, _percentiles(statistic(*drawn) for drawn in zip(*stacks, strict=True)))


def _interval(center: float, ends: Array) -> Interval:
    return Interval(center, float(ends[0]), float(ends[1]))


def _percentiles(draws: Iterable[Array]) -> Array:
    """The ends [2, ...] of the percentile interval of a statistic of resamples, given in blocks [R, ...]."""
    ends: Array = np.nanquantile(np.concatenate(list(draws)), [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return ends


def _crossed(tables: Sequence[Array], resamples: int = CROSSED) -> list[Array]:
    """The means [R] of each table with seeds and tasks drawn anew, the same ones for all tables."""
    generator = np.random.default_rng(CROSSED_SEED)
    seeds, tasks = tables[0].shape
    rows = generator.multinomial(seeds, [1 / seeds] * seeds, resamples) / seeds  # how often each seed is drawn
    columns = generator.multinomial(tasks, [1 / tasks] * tasks, resamples) / tasks
    return [np.einsum("rs,st,rt->r", rows, table, columns) for table in tables]


def _stratified(table: Array, seed: int = STRATIFIED_SEED, width: int = 1) -> Iterator[Array]:
    """Blocks [R, seed, task] with seeds drawn anew within each task; a statistic holds `width` numbers per score."""
    generator = np.random.default_rng(seed)
    block = max(1, min(STRATIFIED, _BLOCK // (table.size * width)))
    tasks = np.arange(table.shape[1])
    for start in range(0, STRATIFIED, block):
        size = (min(block, STRATIFIED - start), *table.shape)
        yield table[generator.integers(len(table), size=size), tasks]


def _means(drawn: Array) -> Array:
    means: Array = drawn.mean(axis=(1, 2))
    return means


def _paired(*values: Values) -> list[Array]:
    """Values of equal shape as arrays [seed, task]; those of a single seed may be [task]."""
    tables = [_table(np.atleast_2d(np.asarray(one, dtype=np.float64))) for one in values]
    shapes = [table.shape for table in tables]
    if len(set(shapes)) > 1:
        raise MerpoError(f"statistics: paired values have the shapes [seed, task] {shapes}, expected equal ones")
    return tables


def _same_tasks(first: Scores, second: Scores) -> tuple[Array, Array]:
    x, y = _table(first), _table(second)
    if x.shape[1] != y.shape[1]:
        raise MerpoError(f"statistics: got {x.shape[1]} and {y.shape[1]} tasks, expected the same ones")
    return x, y


def _table(scores: Scores) -> Array:
    """Scores as an array [seed, task] of finite numbers."""
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2 or table.size == 0:
        raise MerpoError(f"statistics: got scores of shape {table.shape}, expected [seed, task], not empty")
    if not np.isfinite(table).all():
        seed, task = (int(i) for i in np.argwhere(~np.isfinite(table))[0])
        raise MerpoError(
            f"statistics: the score of seed {seed}, task {task} is {table[seed, task]}, expected a finite number"
        )
    return table
