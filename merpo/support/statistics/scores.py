"""Aggregates of scores [seed, task]: one number per run, then Student's t over the runs.

A run is a seed. Whatever is aggregated (mean, median, interquartile mean, worst decile, optimality gap) is computed
over the tasks of each run, and the interval is that of the mean over runs. It therefore holds for new seeds on these
tasks, and a single seed has none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from merpo.lazy import np
from merpo.support.statistics.estimate import Estimate, student, unpaired
from merpo.support.statistics.interval import Interval, Source
from merpo.support.statistics.tables import same_tasks, table_of

if TYPE_CHECKING:
    from merpo.support.statistics.tables import Array, Scores

__all__ = [
    "ScoreProfile",
    "interquartile_mean",
    "iqm",
    "mean_difference",
    "mean_score",
    "median",
    "optimality_gap",
    "performance_profile",
    "probability_of_improvement",
    "worst_decile",
]


@dataclass(frozen=True)
class ScoreProfile:
    """The fraction of scores above each of `thresholds`: of all runs, and of each run [seed][threshold]."""

    thresholds: list[float]
    share: list[float]
    runs: list[list[float]]


def interquartile_mean(values: Array) -> Array:
    """The mean of the middle half: values [..., n] -> [...]; each side loses a quarter, rounded down."""
    ordered = np.sort(values, axis=-1)
    cut = ordered.shape[-1] // 4
    middle: Array = ordered[..., cut : ordered.shape[-1] - cut].mean(axis=-1)
    return middle


def mean_score(scores: Scores, covers: tuple[Source, ...] = ("training",)) -> Interval:
    """The mean over tasks."""
    return _per_run(lambda table: table.mean(1), scores, covers)


def iqm(scores: Scores, covers: tuple[Source, ...] = ("training",)) -> Interval:
    """The interquartile mean over tasks; the mean where there are fewer than four."""
    return _per_run(interquartile_mean, scores, covers)


def median(scores: Scores, covers: tuple[Source, ...] = ("training",)) -> Interval:
    """The median over tasks."""
    return _per_run(lambda table: np.median(table, axis=1), scores, covers)


def worst_decile(scores: Scores, covers: tuple[Source, ...] = ("training",)) -> Interval:
    """The mean of each run's worst tenth of the tasks, rounded up, so of one task at least."""
    return _per_run(_worst_tenth, scores, covers)


def optimality_gap(scores: Scores, covers: tuple[Source, ...] = ("training",)) -> Interval:
    """The mean over tasks of max(0, 1 - score), where 1 is the oracle's score."""
    return mean_score(np.maximum(0.0, 1.0 - table_of(scores)), covers)


def mean_difference(first: Scores, second: Scores, covers: tuple[Source, ...] = ("training",)) -> Estimate:
    """The mean of `first` minus that of `second` on the same tasks, whose runs are independent (Welch's t)."""
    x, y = same_tasks(first, second)
    return unpaired(x.mean(1), y.mean(1), covers)


def probability_of_improvement(first: Scores, second: Scores, covers: tuple[Source, ...] = ("training",)) -> Interval:
    """P(X > Y) for runs X of `first` and Y of `second` on the same task, mean over tasks; a tie counts half.

    The interval is Brunner and Munzel's: Welch's t of how often each run wins. Each arm gets one more run that wins
    half of its comparisons, as Agresti and Caffo's interval does for shares; otherwise the interval would have no width
    where all runs of one arm are better.
    """
    x, y = same_tasks(first, second)
    difference = x[:, None] - y[None]
    wins = ((difference > 0) + 0.5 * (difference == 0)).mean(2)  # [run of x, run of y]
    found = float(wins.mean())
    if min(wins.shape) == 1:
        return Interval(found)
    ours, theirs = (np.append(wins.mean(axis), 0.5) for axis in (1, 0))
    both = unpaired(ours, 1 - theirs, covers)  # Welch's variance and freedom; the mean is not used
    half = (both.interval.bounds[1] - both.interval.bounds[0]) / 2
    center = float(ours.mean() + theirs.mean()) / 2
    return Interval(found, max(0.0, center - half), min(1.0, center + half), covers)


def performance_profile(scores: Scores, thresholds: Sequence[float]) -> ScoreProfile:
    """The fraction of scores above each threshold."""
    table, levels = table_of(scores), np.asarray(thresholds, dtype=np.float64)
    runs = (table[:, :, None] > levels).mean(1)
    return ScoreProfile(list(thresholds), runs.mean(0).tolist(), runs.tolist())


def _per_run(statistic: Callable[[Array], Array], scores: Scores, covers: tuple[Source, ...]) -> Interval:
    return student(statistic(table_of(scores)), covers)


def _worst_tenth(table: Array) -> Array:
    count = math.ceil(table.shape[1] / 10)
    worst: Array = np.sort(table, axis=1)[:, :count].mean(axis=1)
    return worst
