"""Aggregates against their definitions, written as plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merpo.compare.aggregates import (
    interquartile_mean,
    iqm,
    mean_score,
    median,
    optimality_gap,
    performance_profile,
    probability,
)
from merpo.errors import MerpoError

tables = st.integers(1, 4).flatmap(
    lambda tasks: st.lists(
        st.lists(st.floats(-100, 100), min_size=tasks, max_size=tasks), min_size=1, max_size=4
    )
)  # fmt: skip


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
    assert iqm(table).value == pytest.approx(math.fsum(middle) / len(middle), abs=1e-9)
    assert mean_score(table).value == pytest.approx(math.fsum(flat) / len(flat), abs=1e-9)
    means = sorted(math.fsum(row[t] for row in table) / len(table) for t in range(len(table[0])))
    half = len(means) // 2
    expected = means[half] if len(means) % 2 else (means[half - 1] + means[half]) / 2
    assert median(table).value == pytest.approx(expected, abs=1e-9)


def test_the_optimality_gap_counts_what_is_above_the_oracle_as_the_oracle() -> None:
    assert optimality_gap([[0.5, 2.0, -1.0]]).value == pytest.approx((0.5 + 0.0 + 2.0) / 3)
    two = optimality_gap([[0.5, 1.0], [0.7, 1.0]])
    assert two.value == pytest.approx(0.2)
    assert (two.low, two.high) == (pytest.approx(0.15), pytest.approx(0.25))


def test_the_interquartile_mean_does_not_mind_an_outlier() -> None:
    assert interquartile_mean(np.array([1.0, 2.0, 3.0, 1000.0])) == 2.5
    assert interquartile_mean(np.array([5.0])) == 5.0
    assert iqm([[1.0, 2.0], [3.0, -1e9]]).value == 1.5


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
    assert estimate.low <= estimate.value <= estimate.high
    assert estimate == iqm(table), "the same scores give the same interval"


def test_hard_tasks_do_not_widen_the_interval() -> None:
    even = np.tile(np.linspace(-100.0, 100.0, 8), (3, 1))
    estimate = mean_score(even)
    assert (estimate.low, estimate.high) == pytest.approx((0.0, 0.0))


def test_one_seed_has_no_interval() -> None:
    one = drawn(1, 5)
    for estimate in (iqm(one), median(one), mean_score(one), probability(one, drawn(3, 5))):
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
    found, other = probability(x, y), probability(y, x)
    assert found.value == pytest.approx(expected)
    assert found.value + other.value == pytest.approx(1.0)
    assert found.low is not None
    assert found.high is not None
    assert 0.0 <= found.low <= found.value <= found.high <= 1.0
    assert probability(x, x).value == 0.5
    assert probability(x + 100, x).model_dump() == {"value": 1.0, "low": 1.0, "high": 1.0}


def test_equal_arms_are_told_apart_only_as_often_as_the_level_allows() -> None:
    """With ten seeds the 95 % interval of P(X > Y) misses one half on about one in ten pairs of equal arms."""
    apart = 0
    for label in range(60):
        found = probability(drawn(10, 3, 2 * label), drawn(10, 3, 2 * label + 1))
        assert found.low is not None
        assert found.high is not None
        apart += not found.low <= 0.5 <= found.high
    assert apart <= 15
    found = probability(drawn(10, 3, 1, shift=1.5), drawn(10, 3, 2))
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
    monkeypatch.setattr("merpo.compare.aggregates._BLOCK", 1000)
    parts = mean_score(table)
    assert whole.low is not None
    assert parts.low == pytest.approx(whole.low, abs=0.05)


@pytest.mark.parametrize("bad", [[], [[]], [1.0, 2.0]])
def test_scores_of_another_shape_are_refused(bad: list[float]) -> None:
    with pytest.raises(MerpoError, match=r"expected \[seed, task\]"):
        iqm(bad)  # type: ignore[arg-type]


def test_what_is_not_finite_or_not_the_same_tasks_is_named() -> None:
    with pytest.raises(MerpoError, match="seed 1, task 0 is nan"):
        iqm([[1.0], [math.nan]])
    with pytest.raises(MerpoError, match="2 and 1 tasks"):
        probability([[1.0, 2.0]], [[1.0]])
