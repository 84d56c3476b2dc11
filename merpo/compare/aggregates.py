"""Scores over runs and tasks as Agarwal et al. (2021) ask for: few seeds, hence intervals and whole distributions.

A table is [seed, task]. Intervals are stratified percentile bootstraps: seeds are drawn anew within each task, and the
tasks stay as they are, so they speak about new seeds on these tasks. With one seed there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from merpo.errors import MerpoError
from merpo.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Scores = Sequence[Sequence[float]] | Array

__all__ = [
    "Estimate",
    "Profile",
    "interquartile_mean",
    "iqm",
    "mean_difference",
    "mean_score",
    "median",
    "optimality_gap",
    "performance_profile",
    "probability",
]

RESAMPLES = 2000
SEED = 20210830  # any fixed number: the same scores must give the same interval
LEVEL = 0.95
_BLOCK = 2_000_000  # numbers that are held at once


class Estimate(BaseModel):
    """A number and the ends of its 95 % interval, which are None with a single seed."""

    model_config = ConfigDict(frozen=True)

    value: float
    low: float | None = None
    high: float | None = None


class Profile(BaseModel):
    """The share of runs (seed and task) whose score is above each of `thresholds`, with 95 % bands."""

    model_config = ConfigDict(frozen=True)

    thresholds: list[float]
    share: list[float]
    low: list[float] | None = None
    high: list[float] | None = None


def interquartile_mean(values: Array) -> Array:
    """The mean of the middle half of all runs: values [..., run] -> [...]; each side loses a quarter, rounded down."""
    ordered = np.sort(values, axis=-1)
    cut = ordered.shape[-1] // 4
    middle: Array = ordered[..., cut : ordered.shape[-1] - cut].mean(axis=-1)
    return middle


def iqm(scores: Scores) -> Estimate:
    """The interquartile mean over all runs."""
    return _estimate(_table(scores), lambda drawn: interquartile_mean(drawn.reshape(len(drawn), -1)))


def median(scores: Scores) -> Estimate:
    """The median over tasks of the means over seeds."""
    return _estimate(_table(scores), lambda drawn: np.median(drawn.mean(axis=1), axis=-1))


def mean_score(scores: Scores) -> Estimate:
    """The mean over all runs."""
    return _estimate(_table(scores), lambda drawn: drawn.mean(axis=(1, 2)))


def mean_difference(first: Scores, second: Scores) -> Estimate:
    """The mean over all runs of the first table minus that of the second; both have the same tasks.

    The seeds of each are drawn anew, independently. An interval needs two seeds of both. Raises `MerpoError` for tables
    of other tasks.
    """
    x, y = _same_tasks(first, second)
    value = float(x.mean() - y.mean())
    if len(x) == 1 or len(y) == 1:
        return Estimate(value=value)
    pairs = zip(_resampled(x, width=len(y)), _resampled(y, SEED + 1, width=len(x)), strict=True)
    low, high = _ends(np.concatenate([a.mean(axis=(1, 2)) - b.mean(axis=(1, 2)) for a, b in pairs]))
    return Estimate(value=value, low=float(low), high=float(high))


def optimality_gap(scores: Scores) -> Estimate:
    """The mean over all runs of how far a score falls short of 1, the oracle's; what is above counts as 1."""
    return mean_score(np.maximum(0.0, 1.0 - _table(scores)))


def performance_profile(scores: Scores, thresholds: Sequence[float]) -> Profile:
    """The share of runs above each threshold."""
    table, levels = _table(scores), np.asarray(thresholds, dtype=np.float64)

    def share(drawn: Array) -> Array:
        return np.stack([(drawn > level).mean(axis=(1, 2)) for level in levels], axis=-1)

    found = share(table[None])[0]
    if len(table) == 1:
        return Profile(thresholds=list(thresholds), share=found.tolist())
    low, high = _ends(np.concatenate([share(drawn) for drawn in _resampled(table)]))
    return Profile(thresholds=list(thresholds), share=found.tolist(), low=low.tolist(), high=high.tolist())


def probability(first: Scores, second: Scores) -> Estimate:
    """The probability of improvement P(X > Y), mean over tasks; a tie counts half. Both tables have the same tasks.

    An interval needs two seeds of either. Raises `MerpoError` for tables of other tasks.
    """
    x, y = _same_tasks(first, second)
    value = float(_better(x[None], y[None])[0])
    if len(x) == 1 or len(y) == 1:
        return Estimate(value=value)
    pairs = zip(_resampled(x, width=len(y)), _resampled(y, SEED + 1, width=len(x)), strict=True)
    low, high = _ends(np.concatenate([_better(a, b) for a, b in pairs]))
    return Estimate(value=value, low=float(low), high=float(high))


def _same_tasks(first: Scores, second: Scores) -> tuple[Array, Array]:
    x, y = _table(first), _table(second)
    if x.shape[1] != y.shape[1]:
        raise MerpoError(f"statistics: got {x.shape[1]} and {y.shape[1]} tasks, expected the same ones")
    return x, y


def _better(x: Array, y: Array) -> Array:
    """P(X > Y) of each resample: x [R, S, T], y [R, S', T] -> [R]."""
    difference = x[:, :, None] - y[:, None]
    share: Array = ((difference > 0) + 0.5 * (difference == 0)).mean(axis=(1, 2, 3))
    return share


def _estimate(table: Array, statistic: Callable[[Array], Array]) -> Estimate:
    """A statistic of a table, and its interval; `statistic` is given resamples [R, seed, task]."""
    value = float(statistic(table[None])[0])
    if len(table) == 1:
        return Estimate(value=value)
    low, high = _ends(np.concatenate([statistic(drawn) for drawn in _resampled(table)]))
    return Estimate(value=value, low=float(low), high=float(high))


def _ends(drawn: Array) -> tuple[Array, Array]:
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return low, high


def _resampled(table: Array, seed: int = SEED, width: int = 1) -> Iterator[Array]:
    """Tables [R, seed, task] with seeds drawn anew within each task, a block at a time; `width` more per number."""
    generator = np.random.default_rng(seed)
    block = max(1, min(RESAMPLES, _BLOCK // (table.size * width)))
    tasks = np.arange(table.shape[1])
    for start in range(0, RESAMPLES, block):
        size = (min(block, RESAMPLES - start), *table.shape)
        yield table[generator.integers(len(table), size=size), tasks]


def _table(scores: Scores) -> Array:
    """Scores as an array [seed, task] of finite numbers."""
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2 or table.size == 0:
        raise MerpoError(f"statistics: got scores of shape {table.shape}, expected [seed, task], not empty")
    if not np.isfinite(table).all():
        seed, task = (int(i) for i in np.argwhere(~np.isfinite(table))[0])
        raise MerpoError(
            f"statistics: the score of seed {seed}, task {task} is {table[seed, task]}, expected a finite one"
        )
    return table
