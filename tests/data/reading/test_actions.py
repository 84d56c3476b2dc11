"""Bounds of actions: scaled, clipped and counted where the user says so, else refused with advice that fits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from merpo.data.from_arrays import from_arrays
from merpo.data.reading.actions import scaled_actions
from merpo.data.reading.choices import Choices
from merpo.errors import DatasetError


def read(actions: Any, **choices: Any) -> tuple[Any, list[str]]:
    said: list[str] = []
    actions = np.asarray(actions)
    rows = len(actions)
    data = from_arrays(np.zeros((rows, 1)), actions, np.zeros(rows), np.zeros((rows, 1)), note=said.append, **choices)
    return data.actions, said


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=20), st.floats(-100, 100), st.floats(0.1, 100), st.booleans())
def test_clipped_actions_are_those_at_the_bounds_and_all_are_counted(
    units: list[float], middle: float, half: float, bounded: bool
) -> None:
    exact = np.asarray(units)
    actions = middle + half * exact if bounded else exact
    bounds = {"action_low": middle - half, "action_high": middle + half} if bounded else {}
    outside = np.abs(exact) > 1 + 1.1e-5
    near = (np.abs(exact) > 1 + 0.9e-5) & ~outside
    if near.any():  # on the edge of the tolerance
        return
    found, said = read(actions, clip_actions=True, **bounds)
    np.testing.assert_allclose(found[:, 0], np.clip(exact, -1, 1), atol=2e-5)
    assert len(said) == int(outside.any())
    if outside.any():
        assert f"in {outside.sum():,} of {len(units):,} rows" in said[0]
        with pytest.raises(DatasetError, match=f"{outside.sum()} of {len(units)} rows affected|labels of discrete"):
            read(actions, **bounds)


def test_how_far_actions_were_outside_is_told_by_dimension() -> None:
    actions = [[0.0, 5.0], [10.5, 2.0], [-1.0, 0.0]]
    found, said = read(actions, action_low=0.0, action_high=10.0, clip_actions=True)
    assert found.tolist() == [[-1.0, 0.0], [1.0, pytest.approx(-0.6)], [-1.0, -1.0]]
    assert said == ["dataset: actions clipped to their bounds in 2 of 3 rows: actions[0] 2 times, by at most 1"]


@pytest.mark.parametrize(("actions", "advised"), [([[1.02], [0.0]], True), ([[3.7], [0.0]], False)])
def test_clipping_is_the_advice_where_actions_are_slightly_outside(actions: Any, advised: bool) -> None:
    with pytest.raises(DatasetError, match=r"expected within \[-1, 1\]") as caught:
        read(actions)
    assert ("--clip-actions" in str(caught.value)) is advised
    assert "--action-low" in str(caught.value)


@pytest.mark.parametrize("value", [float("inf"), -float("inf")])
def test_an_infinite_action_is_not_clipped(value: float) -> None:
    with pytest.raises(DatasetError, match=r"actions is -?inf at row 1"):
        read([[0.0], [value]], clip_actions=True)


LABELS = [
    np.array([0, 1, 2, 3]), np.array([3, 1, 2, 1], np.int32), np.array([0.0, 2.0, 1.0]), np.array([[0, 2], [1, 0]]),
    np.array([0, 17, 4]), np.array([1.0, 2.0, 2.0]),
]  # fmt: skip


@pytest.mark.parametrize("actions", LABELS)
def test_labels_of_discrete_actions_are_not_to_be_scaled(actions: np.ndarray) -> None:
    with pytest.raises(DatasetError, match="as the labels of discrete actions are") as caught:
        read(actions)
    assert "scale" not in str(caught.value)
    assert "action_low" not in str(caught.value)
    assert "clip" not in str(caught.value)
    found, _ = read(actions, action_low=0.0, action_high=20.0)
    np.testing.assert_allclose(found, actions.reshape(len(actions), -1) / 10 - 1, rtol=1e-6)


@pytest.mark.parametrize("actions", [[0, 40, 80, 100], [0.0, 30.0, 45.0], [-2, 0, 2], [5, 6, 7], [0.0, 1.5, 2.0]])
def test_amounts_are_to_be_scaled(actions: list[float]) -> None:
    with pytest.raises(DatasetError, match="scale the actions of the environment to that box"):
        read(np.array(actions, dtype=float))


@pytest.mark.parametrize("actions", [[0, 1, 1], [-1, 0, 1], [True, False, True], [0, 0], [1.0, 1.0], [0.0, 1.0]])
def test_whole_numbers_within_the_box_are_read_and_zeros_and_ones_told(actions: list[Any]) -> None:
    found, notes = read(actions)
    assert found[:, 0].tolist() == [float(one) for one in actions]
    assert any("as labels of discrete actions are" in note for note in notes) is (
        set(map(float, actions)) == {0.0, 1.0}
    )
    assert not read(actions, action_low=-1.0, action_high=1.0)[1]


def test_scaling_is_in_double_precision() -> None:
    low, high = 1e9, 1e9 + 1
    found, _ = scaled_actions(np.array([[1e9], [1e9 + 0.25], [1e9 + 1]]), Choices(low, high), ["a"], "here")
    assert found[:, 0].tolist() == [-1.0, -0.5, 1.0]
