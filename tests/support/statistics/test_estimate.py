"""Student's and Welch's intervals and p-values against textbooks and each other."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merpo.errors import MerpoError
from merpo.support.statistics.estimate import Estimate, one_sample, paired, student, unpaired
from merpo.support.statistics.interval import Interval

numbers = st.floats(-1e3, 1e3)
samples = st.lists(numbers, min_size=2, max_size=8)


def test_students_interval_is_the_textbooks() -> None:
    """Four values with mean 2.5 and standard deviation 1.29: 2.5 ± 3.1824 · 1.29 / 2."""
    found = student([1.0, 2.0, 3.0, 4.0], ("training",))
    half = 3.18245 * math.sqrt(5 / 3) / 2
    assert (found.mean, found.covers) == (2.5, ("training",))
    assert found.bounds == pytest.approx((2.5 - half, 2.5 + half), abs=1e-4)


def test_one_value_has_no_interval_and_covers_nothing() -> None:
    assert student([3.0], ("training",)) == Interval(3.0)
    assert one_sample([3.0]).p_value() is None
    assert unpaired([1.0], [1.0, 2.0]) == Estimate(-0.5)


def test_hard_tasks_do_not_widen_the_interval_of_pairs() -> None:
    hard = np.linspace(-100.0, 0.0, 10)
    assert paired((hard + 1.0).tolist(), hard.tolist()).interval.bounds == pytest.approx((1.0, 1.0))
    assert student(hard).bounds[1] - student(hard).bounds[0] > 10


def test_welchs_test_is_the_textbooks() -> None:
    """The first example of Wikipedia's article on Welch's test: t = −2.46, 25 degrees of freedom, p = 0.021."""
    first = [27.5, 21.0, 19.0, 23.6, 17.0, 17.9, 16.9, 20.1, 21.9, 22.6, 23.1, 19.6, 19.0, 21.7, 21.4]
    second = [27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0, 24.8, 20.2, 21.9, 22.1, 22.9, 20.5, 24.4]
    found = unpaired(first, second)
    assert found.variance is not None
    assert found.mean / found.variance**0.5 == pytest.approx(-2.46, abs=0.01)
    assert found.freedom == pytest.approx(25.0, abs=0.1)
    assert found.p_value() == pytest.approx(0.021, abs=0.0005)


@settings(deadline=None)
@given(samples, samples, st.floats(0.1, 100), st.floats(-1e3, 1e3))
def test_welch_is_between_the_textbooks_bounds_and_scales(
    first: list[float], second: list[float], factor: float, shift: float
) -> None:
    found = unpaired(first, second)
    assert min(len(first), len(second)) - 1 - 1e-9 <= found.freedom <= len(first) + len(second) - 2 + 1e-9
    back = unpaired(second, first)
    assert back.interval.bounds == pytest.approx((0 - found.interval).bounds, abs=1e-9)
    scaled = unpaired([factor * x + shift for x in first], [factor * x + shift for x in second])
    assert scaled.interval.bounds == pytest.approx([factor * x for x in found.interval.bounds], rel=1e-5, abs=1e-6)


@settings(deadline=None)
@given(samples, numbers)
def test_the_p_value_is_below_five_percent_where_the_interval_excludes_the_value(
    values: list[float], null: float
) -> None:
    found = one_sample(values)
    low, high = found.interval.bounds
    if min(abs(null - low), abs(null - high)) > 1e-6 * max(1.0, abs(low), abs(high)):
        p = found.p_value(null)
        assert p is not None
        assert (p < 0.05) == found.interval.excludes(null)
        assert 0 <= p <= 1 + 1e-9


def test_equal_values_leave_no_doubt() -> None:
    assert (one_sample([2.0, 2.0]).p_value(), one_sample([2.0, 2.0]).p_value(2.0)) == (0.0, 1.0)
    assert unpaired([2.0, 2.0], [1.0, 1.0]).interval == Interval(1.0, 1.0, 1.0)


@pytest.mark.parametrize("bad", [[], [[1.0]], 1.0])
def test_values_of_another_shape_are_refused(bad: object) -> None:
    with pytest.raises(MerpoError, match="expected a list of numbers"):
        student(bad)  # type: ignore[arg-type]


def test_what_is_not_finite_or_not_a_pair_is_named() -> None:
    with pytest.raises(MerpoError, match="value 1 is nan"):
        student([1.0, math.nan])
    with pytest.raises(MerpoError, match="2 and 1 values, expected pairs"):
        paired([1.0, 2.0], [1.0])
