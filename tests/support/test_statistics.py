"""Aggregates and their intervals against their definitions, written as plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merpo.errors import MerpoError
from merpo.support.statistics import (
    Interval,
    bootstrap,
    gap_closed,
    gap_interval,
    interquartile_mean,
    iqm,
    mean_difference,
    mean_score,
    median,
    optimality_gap,
    paired_difference,
    performance_profile,
    probability_of_improvement,
    student,
)

numbers = st.floats(-1e3, 1e3)
tables = st.integers(1, 4).flatmap(
    lambda tasks: st.lists(st.lists(numbers, min_size=tasks, max_size=tasks), min_size=1, max_size=3)
)


@settings(max_examples=30, deadline=None)
@given(tables)
def test_an_interval_is_around_the_mean_and_within_the_values(table: list[list[float]]) -> None:
    found = bootstrap(table, resamples=200)
    flat = [value for row in table for value in row]
    assert found.mean == pytest.approx(math.fsum(flat) / len(flat), abs=1e-9)
    assert min(flat) - 1e-9 <= found.low <= found.high <= max(flat) + 1e-9


def test_the_bootstrap_draws_seeds_and_tasks_again() -> None:
    random = np.random.default_rng(1)
    table = random.normal(size=(4, 10)) + random.normal(size=(4, 1)) + random.normal(size=(1, 10))
    draws = []
    for _ in range(4000):
        seeds, tasks = random.integers(4, size=4), random.integers(10, size=10)
        draws.append(np.mean([table[s][t] for s in seeds for t in tasks]))
    low, high = np.quantile(draws, [0.025, 0.975])
    found = bootstrap(table)
    assert found.low == pytest.approx(low, abs=0.05)
    assert found.high == pytest.approx(high, abs=0.05)


def test_the_interval_of_many_values_is_the_normal_one() -> None:
    values = np.random.default_rng(0).normal(3.0, 2.0, 400)
    found = bootstrap(values)
    half = 1.96 * values.std() / math.sqrt(400)
    assert found.high - found.mean == pytest.approx(half, rel=0.1)
    assert found.mean - found.low == pytest.approx(half, rel=0.1)


def test_the_same_values_give_the_same_interval_and_no_global_generator_moves() -> None:
    state = np.random.get_state()[1].copy()  # type: ignore[index]
    assert bootstrap([1.0, 2.0, 4.0]) == bootstrap([1.0, 2.0, 4.0])
    assert (np.random.get_state()[1] == state).all()  # type: ignore[index]


def test_a_paired_difference_ignores_how_hard_the_tasks_are() -> None:
    hard = np.linspace(-100.0, 0.0, 10)
    found = paired_difference(hard + 1.0, hard)
    assert (found.low, found.mean, found.high) == pytest.approx((1.0, 1.0, 1.0))
    assert bootstrap(hard).high - bootstrap(hard).low > 10


def test_the_gap_closed_by_hand() -> None:
    assert gap_closed(-6.0, -10.0, -5.0) == pytest.approx(0.8)
    assert gap_closed(-4.0, -10.0, -5.0) == pytest.approx(1.2)
    assert gap_closed(-11.0, -10.0, -5.0) == pytest.approx(-0.2)
    assert gap_closed(-5.0, -5.0, -5.0) is None
    assert gap_closed(-5.0, -4.0, -5.0) is None, "an oracle below the behaviour policy leaves no gap"


def test_the_gap_interval_is_a_ratio_of_means() -> None:
    found = gap_interval([-6.0, -9.0], [-10.0, -10.0], [-5.0, -8.0])
    assert found is not None
    assert found.mean == pytest.approx((10.0 - 7.5) / (10.0 - 6.5))
    assert found.low == pytest.approx(0.5)
    assert found.high == pytest.approx(0.8)
    assert gap_interval([1.0], [2.0], [2.0]) is None


def test_a_gap_that_may_be_chance_has_no_interval() -> None:
    behavior, achieved = [-10.0, -10.0, -10.0], [-9.0, -9.0, -9.0]
    assert gap_interval(achieved, behavior, [-5.0, -5.0, -5.0]) is not None
    assert gap_interval(achieved, behavior, [-5.0, -5.0, -12.0]) is None, "drawn thrice, the last task has no gap"


@pytest.mark.parametrize("bad", [[], [[]], [[[1.0]]]])
def test_values_of_another_shape_are_refused(bad: object) -> None:
    with pytest.raises(MerpoError, match="expected"):
        bootstrap(bad)  # type: ignore[arg-type]


def test_what_is_not_finite_is_named() -> None:
    with pytest.raises(MerpoError, match="seed 1, task 0 is nan"):
        bootstrap([[1.0, 2.0], [math.nan, 1.0]])
    with pytest.raises(MerpoError, match="expected equal ones"):
        paired_difference([1.0, 2.0], [1.0])


def test_an_interval_is_subtracted_from_a_number_and_knows_what_it_excludes() -> None:
    assert 1 - Interval(0.75, 0.5, 1.0) == Interval(0.25, 0.0, 0.5)
    assert 1 - Interval(0.75) == Interval(0.25)
    assert [Interval(2.0, 1.0, 3.0).excludes(value) for value in (0.0, 1.0, 3.0, 4.0)] == [True, False, False, True]
    assert not Interval(2.0).excludes(0.0)
    assert (Interval(2.0).bounds, Interval(2.0, 1.0, 3.0).bounds) == ((2.0, 2.0), (1.0, 3.0))


def test_differences_of_means_are_told_from_chance() -> None:
    random = np.random.default_rng(0)
    low = random.normal(0.0, 1.0, (4, 3))
    found = mean_difference(low + 5.0, low[::-1])
    assert found.mean == pytest.approx(5.0)
    assert found.low is not None
    assert found.high is not None
    assert 3.0 < found.low < 5.0 < found.high < 7.0
    back = mean_difference(low, low + 5.0)
    assert back.mean == pytest.approx(-5.0)
    alone = mean_difference(low[:1], low)
    assert (alone.low, alone.high) == (None, None)
    with pytest.raises(MerpoError, match="3 and 2 tasks"):
        mean_difference(low, low[:, :2])


def drawn(seeds: int, tasks: int, label: int = 0, shift: float = 0.0) -> np.ndarray:
    random = np.random.default_rng(label)
    scores: np.ndarray = random.normal(shift, 1.0, (seeds, tasks)) + np.linspace(-3, 3, tasks)
    return scores


@settings(max_examples=30, deadline=None)
@given(tables)
def test_the_estimates_by_hand(table: list[list[float]]) -> None:
    flat = sorted(value for row in table for value in row)
    cut = len(flat) // 4
    middle = flat[cut : len(flat) - cut]
    assert iqm(table).mean == pytest.approx(math.fsum(middle) / len(middle), abs=1e-9)
    assert mean_score(table).mean == pytest.approx(math.fsum(flat) / len(flat), abs=1e-9)
    means = sorted(math.fsum(row[t] for row in table) / len(table) for t in range(len(table[0])))
    half = len(means) // 2
    expected = means[half] if len(means) % 2 else (means[half - 1] + means[half]) / 2
    assert median(table).mean == pytest.approx(expected, abs=1e-9)


def test_the_optimality_gap_counts_what_is_above_the_oracle_as_the_oracle() -> None:
    assert optimality_gap([[0.5, 2.0, -1.0]]).mean == pytest.approx((0.5 + 0.0 + 2.0) / 3)
    two = optimality_gap([[0.5, 1.0], [0.7, 1.0]])
    assert two.mean == pytest.approx(0.2)
    assert (two.low, two.high) == (pytest.approx(0.15), pytest.approx(0.25))


def test_the_interquartile_mean_does_not_mind_an_outlier() -> None:
    assert interquartile_mean(np.array([1.0, 2.0, 3.0, 1000.0])) == 2.5
    assert interquartile_mean(np.array([5.0])) == 5.0
    assert iqm([[1.0, 2.0], [3.0, -1e9]]).mean == 1.5


def test_the_bootstrap_draws_seeds_within_each_task() -> None:
    table = drawn(5, 6)
    random = np.random.default_rng(7)
    found = []
    for _ in range(4000):
        rows = [[table[random.integers(5), t] for t in range(6)] for _ in range(5)]
        flat = sorted(value for row in rows for value in row)
        found.append(np.mean(flat[7 : 30 - 7]))
    low, high = np.quantile(found, [0.025, 0.975])
    estimate = iqm(table)
    assert estimate.low == pytest.approx(low, abs=0.06)
    assert estimate.high == pytest.approx(high, abs=0.06)
    assert estimate.low is not None
    assert estimate.high is not None
    assert estimate.low <= estimate.mean <= estimate.high
    assert estimate == iqm(table), "the same scores give the same interval"


def test_hard_tasks_do_not_widen_the_interval() -> None:
    even = np.tile(np.linspace(-100.0, 100.0, 8), (3, 1))
    estimate = mean_score(even)
    assert (estimate.low, estimate.high) == pytest.approx((0.0, 0.0))


def test_one_seed_has_no_interval() -> None:
    one = drawn(1, 5)
    for estimate in (iqm(one), median(one), mean_score(one), probability_of_improvement(one, drawn(3, 5))):
        assert (estimate.low, estimate.high) == (None, None)
    assert performance_profile(one, [0.0]).low is None


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
    assert found.mean + other.mean == pytest.approx(1.0)
    assert found.low is not None
    assert found.high is not None
    assert 0.0 <= found.low <= found.mean <= found.high <= 1.0
    assert probability_of_improvement(x, x).mean == 0.5
    assert probability_of_improvement(x + 100, x) == Interval(1.0, 1.0, 1.0)


def test_equal_arms_are_told_apart_only_as_often_as_the_level_allows() -> None:
    """With ten seeds the 95 % interval of P(X > Y) misses one half on about one in ten pairs of equal arms."""
    apart = 0
    for label in range(60):
        found = probability_of_improvement(drawn(10, 3, 2 * label), drawn(10, 3, 2 * label + 1))
        assert found.low is not None
        assert found.high is not None
        apart += not found.low <= 0.5 <= found.high
    assert apart <= 15
    found = probability_of_improvement(drawn(10, 3, 1, shift=1.5), drawn(10, 3, 2))
    assert found.low is not None
    assert found.low > 0.5


def test_a_profile_by_hand() -> None:
    table = drawn(4, 5)
    levels = [-10.0, -1.0, 0.0, 0.5, 10.0]
    found = performance_profile(table, levels)
    assert found.share == pytest.approx([sum(v > level for row in table for v in row) / 20 for level in levels])
    assert found.share[0] == 1.0
    assert found.share[-1] == 0.0
    assert found.low is not None
    assert found.high is not None
    assert all(a <= b <= c for a, b, c in zip(found.low, found.share, found.high, strict=True))


def test_a_large_table_is_resampled_in_blocks_with_the_same_care(monkeypatch: pytest.MonkeyPatch) -> None:
    table = drawn(6, 5)
    whole = mean_score(table)
    monkeypatch.setattr("merpo.support.statistics._BLOCK", 1000)
    parts = mean_score(table)
    assert whole.low is not None
    assert parts.low == pytest.approx(whole.low, abs=0.05)


@pytest.mark.parametrize("bad", [[], [[]], [1.0, 2.0]])
def test_scores_of_another_shape_are_refused(bad: list[float]) -> None:
    with pytest.raises(MerpoError, match=r"expected \[seed, task\]"):
        iqm(bad)  # type: ignore[arg-type]


def test_scores_that_are_not_finite_or_of_other_tasks_are_named() -> None:
    with pytest.raises(MerpoError, match="seed 1, task 0 is nan"):
        iqm([[1.0], [math.nan]])
    with pytest.raises(MerpoError, match="2 and 1 tasks"):
        probability_of_improvement([[1.0, 2.0]], [[1.0]])


def test_students_interval_is_the_textbooks() -> None:
    """Four values with mean 2.5 and standard deviation 1.29: 2.5 ± 3.1824 · 1.29 / 2."""
    found = student([1.0, 2.0, 3.0, 4.0])
    half = 3.1824 * math.sqrt(5 / 3) / 2
    assert found.mean == 2.5
    assert found.bounds == pytest.approx((2.5 - half, 2.5 + half))
    assert student([3.0]) == Interval(3.0)


@pytest.mark.parametrize("n", [2, 4, 8])
def test_students_interval_covers_as_it_says(n: int) -> None:
    """Of normal samples; the bound is five standard errors of the share."""
    random = np.random.default_rng(n)
    draws = random.normal(1.0, 2.0, (2000, n))
    covered = [found.bounds[0] <= 1.0 <= found.bounds[1] for found in map(student, draws.tolist())]
    assert abs(float(np.mean(covered)) - 0.95) < 5 * math.sqrt(0.95 * 0.05 / 2000)
