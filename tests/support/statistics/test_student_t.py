"""Tails and quantiles of Student's t against a table, closed forms and the normal distribution."""

from __future__ import annotations

import math
from statistics import NormalDist

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merpo.errors import MerpoError
from merpo.support.statistics.student_t import quantile, tail

# Degrees of freedom -> quantiles at 0.95, 0.975, 0.99 and 0.995, as printed in tables of the distribution.
TABLE = {
    1: (6.3138, 12.7062, 31.8205, 63.6567),
    2: (2.9200, 4.3027, 6.9646, 9.9248),
    3: (2.3534, 3.1824, 4.5407, 5.8409),
    4: (2.1318, 2.7764, 3.7469, 4.6041),
    5: (2.0150, 2.5706, 3.3649, 4.0321),
    7: (1.8946, 2.3646, 2.9980, 3.4995),
    9: (1.8331, 2.2622, 2.8214, 3.2498),
    12: (1.7823, 2.1788, 2.6810, 3.0545),
    19: (1.7291, 2.0930, 2.5395, 2.8609),
    30: (1.6973, 2.0423, 2.4573, 2.7500),
    60: (1.6706, 2.0003, 2.3901, 2.6603),
    120: (1.6577, 1.9799, 2.3578, 2.6174),
}


def test_quantiles_are_those_of_the_table() -> None:
    for freedom, row in TABLE.items():
        found = [quantile(p, freedom) for p in (0.95, 0.975, 0.99, 0.995)]
        assert found == pytest.approx(row, abs=5.1e-5 * max(1.0, row[-1] / 10)), freedom


@given(st.floats(0, 1e6))
def test_tails_of_one_and_two_degrees_have_closed_forms(t: float) -> None:
    assert tail(t, 1) == pytest.approx(math.atan2(1, t) / math.pi, rel=1e-9)
    root = math.sqrt(2 + t * t)
    assert tail(t, 2) == pytest.approx(1 / (root * (root + t)), rel=1e-9)


@pytest.mark.parametrize("freedom", [1.05, 1.5, 2.5, 3.7])
def test_tails_of_any_freedom_are_integrals_of_the_density(freedom: float) -> None:
    scale = math.gamma((freedom + 1) / 2) / (math.gamma(freedom / 2) * math.sqrt(freedom * math.pi))
    step, t = 1e-3, 2.0
    middles = ((i + 0.5) * step for i in range(int(t / step)))
    inner = sum(scale * (1 + x * x / freedom) ** (-(freedom + 1) / 2) * step for x in middles)
    assert tail(t, freedom) == pytest.approx(0.5 - inner, abs=1e-7)


def test_with_many_degrees_it_is_the_normal_distribution() -> None:
    for t in (0.0, 0.5, 1.96, 4.0):
        assert tail(t, 1e9) == pytest.approx(1 - NormalDist().cdf(t), rel=1e-6)
    assert quantile(0.975, 1e9) == pytest.approx(NormalDist().inv_cdf(0.975), abs=1e-6)


@settings(deadline=None)
@given(st.floats(1e-6, 1 - 1e-6), st.floats(1, 1e4))
def test_a_quantile_has_its_probability_below(p: float, freedom: float) -> None:
    assert 1 - tail(quantile(p, freedom), freedom) == pytest.approx(p, rel=1e-8)
    assert quantile(1 - p, freedom) == pytest.approx(-quantile(p, freedom), rel=1e-6, abs=1e-9)


def test_what_has_no_quantile_is_refused() -> None:
    with pytest.raises(MerpoError, match=r"0\.5 degrees of freedom, expected at least one"):
        tail(1.0, 0.5)
    with pytest.raises(MerpoError, match="nan degrees"):
        quantile(0.9, math.nan)
    for p in (0.0, 1.0, -0.1, math.nan):
        with pytest.raises(MerpoError, match="expected between 0 and 1"):
            quantile(p, 3)
