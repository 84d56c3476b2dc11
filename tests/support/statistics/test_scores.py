"""Aggregates of scores against their definitions, written as plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merpo.errors import MerpoError
from merpo.support.statistics.estimate import student
from merpo.support.statistics.interval import Interval
from merpo.support.statistics.scores import (
    interquartile_mean,
    iqm,
    mean_difference,
    mean_score,
    median,
    optimality_gap,
    performance_profile,
    probability_of_improvement,
    worst_decile,
)

numbers = st.floats(-1e3, 1e3)
tables = st.integers(1, 25).flatmap(
    lambda tasks: st.lists(st.lists(numbers, min_size=tasks, max_size=tasks), min_size=1, max_size=3)
)


def drawn(seeds: int, tasks: int, label: int = 0, shift: float = 0.0) -> np.ndarray:
    random = np.random.default_rng(label)
    scores: np.ndarray = random.normal(shift, 1.0, (seeds, tasks)) + np.linspace(-3, 3, tasks)
    return scores


def middle_of(row: list[float]) -> float:
    cut = len(row) // 4
    kept = sorted(row)[cut : len(row) - cut]
    return math.fsum(kept) / len(kept)


def median_of(row: list[float]) -> float:
    half = len(row) // 2
    return sorted(row)[half] if len(row) % 2 else sum(sorted(row)[half - 1 : half + 1]) / 2


def worst_of(row: list[float]) -> float:
    worst = sorted(row)[: max(1, math.ceil(len(row) / 10))]
    return math.fsum(worst) / len(worst)


@settings(max_examples=30, deadline=None)
@given(tables)
def test_an_aggregate_is_students_interval_of_one_number_per_run(table: list[list[float]]) -> None:
    for aggregate, one in ((iqm, middle_of), (median, median_of), (worst_decile, worst_of)):
        found, expected = aggregate(table, ("adaptation",)), student([one(row) for row in table], ("adaptation",))
        assert found.covers == expected.covers
        assert (found.mean, *found.bounds) == pytest.approx((expected.mean, *expected.bounds), abs=1e-6)
    found, expected = mean_score(table), student([math.fsum(row) / len(row) for row in table])
    assert (found.mean, *found.bounds) == pytest.approx((expected.mean, *expected.bounds), abs=1e-6)


def test_the_worst_decile_of_ten_and_of_twenty_tasks() -> None:
    assert worst_decile([list(range(10))]).mean == 0.0
    assert worst_decile([list(range(11))]).mean == 0.5
    assert worst_decile([list(range(20))]).mean == 0.5
    assert worst_decile([[7.0]]).mean == 7.0


def test_the_optimality_gap_counts_what_is_above_the_oracle_as_the_oracle() -> None:
    assert optimality_gap([[0.5, 2.0, -1.0]]).mean == pytest.approx((0.5 + 0.0 + 2.0) / 3)
    assert optimality_gap([[0.5, 1.0], [0.7, 1.0]]).bounds == pytest.approx(student([0.25, 0.15]).bounds)


def test_the_interquartile_mean_does_not_mind_an_outlier() -> None:
    assert interquartile_mean(np.array([1.0, 2.0, 3.0, 1000.0])) == 2.5
    assert interquartile_mean(np.array([5.0])) == 5.0


def test_hard_tasks_do_not_widen_the_interval() -> None:
    even = np.tile(np.linspace(-100.0, 100.0, 8), (3, 1))
    assert mean_score(even).bounds == pytest.approx((0.0, 0.0))


def test_one_seed_has_no_interval() -> None:
    one = drawn(1, 5)
    for estimate in (iqm(one), median(one), mean_score(one), worst_decile(one), optimality_gap(one)):
        assert (estimate.low, estimate.high, estimate.covers) == (None, None, ())
    assert probability_of_improvement(one, drawn(3, 5)).low is None
    assert mean_difference(one, drawn(3, 5)).interval.low is None


def test_differences_of_means_are_told_from_chance() -> None:
    low = np.random.default_rng(0).normal(0.0, 1.0, (4, 3))
    found = mean_difference(low + 5.0, low[::-1], ("training",)).interval
    assert (found.mean, found.covers) == (pytest.approx(5.0), ("training",))
    assert 2.0 < found.bounds[0] < 5.0 < found.bounds[1] < 8.0
    with pytest.raises(MerpoError, match="3 and 2 tasks"):
        mean_difference(low, low[:, :2])


def test_the_probability_of_improvement_by_hand() -> None:
    x, y = drawn(3, 4, 1), drawn(5, 4, 2)
    y[0, 0] = x[0, 0]  # a tie
    expected = np.mean(
        [
            sum((a > b) + 0.5 * (a == b) for a in x[:, t] for b in y[:, t]) / 15
            for t in range(4)
        ]
    )  # fmt: skip
    found, other = probability_of_improvement(x, y), probability_of_improvement(y, x)
    assert found.mean == pytest.approx(expected)
    assert (1 - other).bounds == pytest.approx(found.bounds)
    assert 0.0 <= found.bounds[0] <= found.mean <= found.bounds[1] <= 1.0
    assert probability_of_improvement(x, x).mean == 0.5


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 6), st.integers(2, 6), st.integers(1, 4), st.integers(0, 10**6), st.floats(-3, 3))
def test_the_estimate_is_within_its_interval(first: int, second: int, tasks: int, label: int, shift: float) -> None:
    found = probability_of_improvement(drawn(first, tasks, label, shift), drawn(second, tasks, label + 1))
    assert 0.0 <= found.bounds[0] <= found.mean <= found.bounds[1] <= 1.0


def test_four_runs_that_are_all_better_than_four_others_do_not_prove_that_every_run_is() -> None:
    x = drawn(4, 1)
    found = probability_of_improvement(x + 100, x)
    assert found == Interval(1.0, pytest.approx(0.574, abs=0.001), 1.0, ("training",))


def test_a_profile_by_hand() -> None:
    table = drawn(4, 5)
    levels = [-10.0, -1.0, 0.0, 0.5, 10.0]
    found = performance_profile(table, levels)
    assert found.share == pytest.approx([sum(v > level for row in table for v in row) / 20 for level in levels])
    assert (found.share[0], found.share[-1]) == (1.0, 0.0)
    assert found.runs[2] == pytest.approx([sum(v > level for v in table[2]) / 5 for level in levels])
    assert performance_profile(table[:1], levels).runs == [performance_profile(table[:1], levels).share]


@pytest.mark.parametrize("bad", [[], [[]], [1.0, 2.0]])
def test_scores_of_another_shape_are_refused(bad: list[float]) -> None:
    with pytest.raises(MerpoError, match=r"expected \[seed, task\]"):
        iqm(bad)  # type: ignore[arg-type]


def test_scores_that_are_not_finite_or_of_other_tasks_are_named() -> None:
    with pytest.raises(MerpoError, match="seed 1, task 0 is nan"):
        iqm([[1.0], [math.nan]])
    with pytest.raises(MerpoError, match="2 and 1 tasks"):
        probability_of_improvement([[1.0, 2.0]], [[1.0]])
