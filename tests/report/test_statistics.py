"""Intervals and gaps against their definitions, written as plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merpo.errors import MerpoError
from merpo.report.statistics import bootstrap, gap_closed, gap_interval, mean, paired_difference

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
    assert mean(table) == pytest.approx(found.mean, abs=1e-9)
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
