"""Means of scores [seed, task] for new seeds and new tasks together, and the gap closed, a ratio of two of them.

The variance of such a mean has two sources: that of the seeds' means and that of the tasks' means. Half of the
interval's width is √(Σ t² v), each source with the t of its own degrees of freedom, as Welch's rule for their number is
too small where one source has two values only. What is left of single pairs is in both sources, so the interval is
rather too wide than too narrow. With a single seed it is Student's t over tasks, for new tasks with these trained
networks; with a single task, Student's t over seeds.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from merpo.lazy import np
from merpo.support.statistics.interval import LEVEL, Interval, Source
from merpo.support.statistics.student_t import quantile
from merpo.support.statistics.tables import paired_tables, table_of

if TYPE_CHECKING:
    from merpo.support.statistics.tables import Array, Scores

__all__ = ["crossed", "gap_closed", "gap_interval"]


def crossed(scores: Scores, seeds: tuple[Source, ...] = ("training",)) -> Interval:
    """The mean of all scores; there is no interval of a single one. `seeds` is what the runs' seeds decide."""
    table = table_of(scores)
    mean, covers = float(table.mean()), _covers(table, seeds)
    if not covers:
        return Interval(mean)
    half = math.sqrt(float(_squares(table[None])[0, 0]))
    return Interval(mean, mean - half, mean + half, covers)


def gap_closed(achieved: float, behavior: float, oracle: float) -> float | None:
    """(J − B)/(O − B); None where the oracle is no better than the behaviour policy, so that there is no gap."""
    gap = oracle - behavior
    return (achieved - behavior) / gap if gap > 1e-9 * max(1.0, abs(oracle), abs(behavior)) else None


def gap_interval(
    achieved: Scores, behavior: Scores, oracle: Scores, seeds: tuple[Source, ...] = ("training",)
) -> Interval | None:
    """The gap closed by the mean returns, with Fieller's interval.

    It has every ratio g for which the interval of the mean of (J − B) − g (O − B) includes 0, and no ends where the
    interval of the gap itself includes 0: the ratio is then unbounded. None where there is no gap on average, or where
    it is unbounded and not every task has a gap.
    """
    j, b, o = paired_tables(achieved, behavior, oracle)
    closed = gap_closed(float(j.mean()), float(b.mean()), float(o.mean()))
    if closed is None:
        return None
    if not (covers := _covers(j, seeds)):
        return Interval(closed)
    gained, gap = float((j - b).mean()), float((o - b).mean())
    squares = _squares(np.stack([j - b, o - b]))
    first, middle, last = (
        gap**2 - float(squares[1, 1]), gained * gap - float(squares[0, 1]), gained**2 - float(squares[0, 0])
    )  # fmt: skip
    if first <= 0:
        return Interval(closed) if bool(((o - b).mean(0) > 0).all()) else None
    root = math.sqrt(max(0.0, middle**2 - first * last))
    return Interval(closed, min(closed, (middle - root) / first), max(closed, (middle + root) / first), covers)


def _covers(table: Array, seeds: tuple[Source, ...]) -> tuple[Source, ...]:
    """What is drawn more than once in a table [seed, task]."""
    runs, tasks = table.shape
    return (*(seeds if runs > 1 else ()), *(("tasks",) if tasks > 1 else ()))


def _squares(tables: Array) -> Array:
    """Σ t² C over the sources of variance, with the covariance C [k, k] of the means of `tables` [k, seed, task]."""
    found = np.zeros((len(tables), len(tables)))
    for means in (tables.mean(2), tables.mean(1)):
        if (count := means.shape[1]) > 1:
            found += quantile((1 + LEVEL) / 2, count - 1) ** 2 * np.atleast_2d(np.cov(means)) / count
    return found
