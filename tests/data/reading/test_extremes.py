"""Extreme values: what squares to infinity is refused by place, what is far from all others is told by place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from conventions import Log, logs
from hypothesis import given
from hypothesis import strategies as st
from strategies import make_dataset

from merpo.data.columns import Columns, changed
from merpo.data.dataset import TaskDataset
from merpo.data.from_arrays import from_arrays
from merpo.data.reading.extremes import most_extreme, range_lines
from merpo.errors import DatasetError

KEYS = ["observations", "rewards", "next_observations"]


def with_value(log: Log, key: str, row: int, value: float) -> dict[str, Any]:
    arrays = {
        "observations": log.before(), "actions": log.joined("actions"), "rewards": log.joined("rewards"),
        "next_observations": log.after(),
    }  # fmt: skip
    changed_array = arrays[key].astype(np.float64)
    changed_array.reshape(len(log.last()), -1)[row, -1] = value
    return {**arrays, key: changed_array}


@given(
    log=logs(), key=st.sampled_from(KEYS), data=st.data(), sign=st.sampled_from([-1, 1]), power=st.floats(18.1, 38.4)
)
def test_what_squares_to_infinity_is_refused_by_its_place(
    log: Log, key: str, data: st.DataObject, sign: int, power: float
) -> None:
    row = data.draw(st.integers(0, len(log.last()) - 1))
    arrays = with_value(log, key, row, sign * 10.0**power)
    with pytest.raises(
        DatasetError, match=f"^pump: {key} is .* at row {row}.*expected at most 1e\\+18 in size"
    ) as caught:
        from_arrays(**arrays, name="pump", note=lambda _: None)
    assert caught.value.at == (key, row)


@pytest.mark.parametrize("rows", [[1], [1, 3], [0, 1, 2, 3, 4, 5]])
def test_rewards_of_3e38_name_the_file_the_column_and_the_first_row(rows: list[int]) -> None:
    rewards = np.zeros(6)
    rewards[rows] = 3e38
    table = {"level": np.arange(6.0), "valve": np.zeros(6), "profit": rewards, "day": np.zeros(6)}
    names = {"observations": ("level",), "actions": ("valve",), "rewards": "profit", "episodes": "day"}
    message = rf"^logs/pump.csv: rewards is 3.*e\+38 at row {rows[0]}.*; rewards is 'profit' there"
    with pytest.raises(DatasetError, match=message):
        changed(Columns(), "c", names).read(table, "logs/pump.csv", {}, "pump")


@pytest.mark.parametrize("value", [-9999.0, 1e7, -1e17])
@pytest.mark.parametrize("key", ["observations", "rewards"])
def test_a_value_far_from_all_others_is_told_with_its_row(key: str, value: float) -> None:
    random = np.random.default_rng(0)
    arrays = {
        "observations": random.normal(size=(40, 2)),
        "actions": np.zeros((40, 1)),
        "rewards": random.normal(size=40),
    }
    arrays[key].reshape(40, -1)[17, -1] = value
    said: list[str] = []
    from_arrays(**arrays, episodes=np.arange(40) // 10, note=said.append)
    label = "observations[1]" if key == "observations" else "rewards"
    (told,) = [line for line in said if "extreme value" in line]
    assert f"{label} is {value:.5g} at row 17, where its median is" in told


def test_values_that_are_mostly_zero_are_not_extreme() -> None:
    rewards = np.zeros(40)
    rewards[39] = 1
    said: list[str] = []
    from_arrays(np.random.default_rng(0).normal(size=40), np.zeros(40), rewards, np.ones(40), note=said.append)
    assert not any("extreme" in line for line in said)


@given(st.integers(0, 8), st.sampled_from(KEYS), st.sampled_from([1e12, -1e15, 1e17]))
def test_the_most_extreme_value_of_a_dataset_is_found(row: int, key: str, value: float) -> None:
    made = make_dataset([4, 5], [True, False], 2, 1, seed=1)
    assert most_extreme(made) is None
    array = getattr(made, key).clone()
    array.view(9, -1)[row, -1] = value
    found = most_extreme(TaskDataset(**{**vars(made), key: array}))
    assert found is not None
    assert (found.key, found.row, found.value) == (key, row, pytest.approx(value))


def test_a_column_of_equal_values_has_no_extreme_but_a_huge_one() -> None:
    made = make_dataset([4], [True], 2, 1)
    rewards = torch.tensor([0.0, 0.0, 0.0, 1.0])
    assert most_extreme(TaskDataset(**{**vars(made), "rewards": rewards})) is None
    found = most_extreme(TaskDataset(**{**vars(made), "rewards": rewards * 1e9}))
    assert found is not None
    assert (found.key, found.row) == ("rewards", 3)


def test_ranges_cover_all_datasets_and_few_columns() -> None:
    made = [make_dataset([4], [True], 2, 1, seed) for seed in (0, 1)]
    (line,) = range_lines(made, ["a", "b", "valve", "reward"])
    low = min(float(data.observations[:, 0].min()) for data in made)
    assert line.startswith(f"ranges, as stored: a {low:.5g} to ")
    many = [make_dataset([4], [True], 50, 1)]
    (line,) = range_lines(many, [f"s{i}" for i in range(52)])
    assert line.endswith("and 33 columns more, which merpo data show lists")
