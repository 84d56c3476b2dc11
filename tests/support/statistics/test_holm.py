"""Holm's correction against its definition."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merpo.support.statistics.holm import holm


def test_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.04, None, 0.6]) == [pytest.approx(0.08), None, pytest.approx(0.6)]
    assert holm([None]) == [None]
    assert holm([]) == []
    assert holm([0.02]) == [0.02]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_rejections_are_those_of_the_step_down_procedure(p_values: list[float]) -> None:
    """In ascending order, hypotheses are rejected while p ≤ 0.05 / (number of those that are left)."""
    adjusted = holm(p_values)
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    rejecting = True
    for rank, place in enumerate(order):
        one = adjusted[place]
        assert one is not None
        assert p_values[place] <= one <= 1
        rejecting = rejecting and (len(order) - rank) * p_values[place] <= 0.05
        assert (one <= 0.05) == rejecting
