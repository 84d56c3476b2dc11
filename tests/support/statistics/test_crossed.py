"""Means for new seeds and tasks, and the gap closed, against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merpo.errors import MerpoError
from merpo.support.statistics.crossed import crossed, gap_closed, gap_interval
from merpo.support.statistics.estimate import student
from merpo.support.statistics.interval import Interval

numbers = st.floats(-1e3, 1e3)
tables = st.integers(1, 4).flatmap(
    lambda tasks: st.lists(st.lists(numbers, min_size=tasks, max_size=tasks), min_size=1, max_size=3)
)
SEEDS = ("meta-training", "adaptation")


@settings(deadline=None)
@given(tables)
def test_an_interval_is_around_the_mean_and_says_what_was_drawn(table: list[list[float]]) -> None:
    found = crossed(table, SEEDS)
    flat = [value for row in table for value in row]
    assert found.mean == pytest.approx(math.fsum(flat) / len(flat), abs=1e-9)
    assert found.bounds[0] <= found.mean <= found.bounds[1]
    seeds, tasks = len(table) > 1, len(table[0]) > 1
    assert found.covers == (*(SEEDS if seeds else ()), *(("tasks",) if tasks else ()))
    assert (found.low is None) == (not seeds and not tasks)


def test_of_one_seed_or_one_task_it_is_students_interval() -> None:
    values = [1.0, 2.0, 4.0]
    assert crossed([values]).bounds == pytest.approx(student(values).bounds)
    assert crossed([[x] for x in values]).bounds == pytest.approx(student(values).bounds)


def test_both_sources_add_their_squares_by_hand() -> None:
    table = [[1.0, 5.0, 9.0], [2.0, 6.0, 13.0]]
    seeds, tasks = student([5.0, 7.0]), student([1.5, 5.5, 11.0])
    half = math.hypot(seeds.mean - seeds.bounds[0], tasks.mean - tasks.bounds[0])
    assert crossed(table).bounds == pytest.approx((6.0 - half, 6.0 + half))


def test_the_gap_closed_by_hand() -> None:
    assert gap_closed(-6.0, -10.0, -5.0) == pytest.approx(0.8)
    assert gap_closed(-4.0, -10.0, -5.0) == pytest.approx(1.2)
    assert gap_closed(-11.0, -10.0, -5.0) == pytest.approx(-0.2)
    assert gap_closed(-5.0, -5.0, -5.0) is None
    assert gap_closed(-5.0, -4.0, -5.0) is None, "an oracle below the behaviour policy leaves no gap"


def test_fiellers_interval_has_the_ratios_that_t_does_not_refute() -> None:
    random = np.random.default_rng(0)
    behavior = random.normal(-10.0, 1.0, (3, 6))
    oracle = behavior + random.normal(5.0, 1.0, (3, 6))
    achieved = behavior + 0.8 * (oracle - behavior) + random.normal(0.0, 0.5, (3, 6))
    found = gap_interval(achieved, behavior, oracle, SEEDS)
    assert found is not None
    assert found.covers == (*SEEDS, "tasks")
    assert found.mean == pytest.approx((achieved.mean() - behavior.mean()) / (oracle.mean() - behavior.mean()))
    for g in np.linspace(found.bounds[0] - 0.1, found.bounds[1] + 0.1, 41):
        residual = crossed(achieved - behavior - g * (oracle - behavior))
        assert residual.excludes(0.0) == found.excludes(float(g))


def test_the_gap_closed_of_equal_shares_has_no_width_and_that_of_one_task_no_interval() -> None:
    found = gap_interval([[-6.0, -12.0]], [[-10.0, -20.0]], [[-5.0, -10.0]])
    assert found == Interval(0.8), "a gap of 5 and one of 10: with two tasks their mean may be anything"
    found = gap_interval([[-6.0, -6.1, -5.9]], [[-10.0, -10.1, -9.9]], [[-5.0, -5.1, -4.9]])
    assert found is not None
    assert found.bounds == pytest.approx((0.8, 0.8))
    assert gap_interval([[-6.0]], [[-10.0]], [[-5.0]]) == Interval(0.8)
    assert gap_interval([[1.0]], [[2.0]], [[2.0]]) is None


def test_a_gap_that_may_be_chance_has_no_interval() -> None:
    behavior, achieved = [[-10.0, -10.0, -10.0]], [[-9.0, -9.0, -9.0]]
    assert gap_interval(achieved, behavior, [[-5.0, -5.1, -4.9]]) is not None
    assert gap_interval(achieved, behavior, [[-5.0, -5.0, -12.0]]) is None


def test_tables_of_other_shapes_are_refused_by_name() -> None:
    with pytest.raises(MerpoError, match="expected equal ones"):
        gap_interval([[1.0, 2.0]], [[1.0]], [[1.0]])
    for bad in ([], [[]], [1.0, 2.0]):
        with pytest.raises(MerpoError, match=r"expected \[seed, task\]"):
            crossed(bad)  # type: ignore[arg-type]
    with pytest.raises(MerpoError, match="seed 1, task 0 is nan"):
        crossed([[1.0, 2.0], [math.nan, 1.0]])
