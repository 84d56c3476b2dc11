"""Flags of ends: those that agree are read, those that do not are refused with both names and the row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from merpo.data.columns import Columns, changed
from merpo.data.from_arrays import from_arrays
from merpo.errors import DatasetError

ROWS: dict[str, Any] = {
    "observations": np.arange(6.0)[:, None], "actions": np.zeros((6, 1)), "rewards": np.ones(6),
    "next_observations": np.arange(1.0, 7.0)[:, None],
}  # fmt: skip


def read(flags: dict[str, Any], **changes: Any) -> Any:
    arrays = {**ROWS, **{key: np.asarray(value) for key, value in flags.items()}}
    return changed(Columns(), "here", changes).read(arrays, "log", {}, "log").data


@pytest.mark.parametrize(
    ("flags", "terminations", "truncations"),
    [
        ({"dones": [0, 0, 1, 0, 0, 1], "timeouts": [0, 0, 0, 0, 0, 1]}, [0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 0, 1]),
        ({"dones": [0, 0, 1, 0, 0, 0], "timeouts": [0, 0, 0, 0, 0, 1]}, [0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 0, 1]),
        ({"dones": [0, 0, 1, 0, 0, 1], "timeouts": [0] * 6}, [0, 0, 1, 0, 0, 1], [0] * 6),
        ({"dones": [0, 0, 1, 0, 0, 1], "terminated": [0, 0, 1, 0, 0, 0]}, [0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 0, 1]),
        ({"is_first": [1, 0, 0, 1, 0, 0], "terminals": [0, 0, 1, 0, 0, 0]}, [0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 0, 1]),
        ({"is_last": [0, 0, 1, 0, 0, 1], "is_terminal": [0, 0, 1, 0, 0, 0]}, [0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 0, 1]),
    ],
)
def test_flags_that_agree(flags: dict[str, Any], terminations: list[int], truncations: list[int]) -> None:
    data = read(flags)
    assert data.terminations.tolist() == terminations
    assert data.truncations.tolist() == truncations
    assert data.episode_offsets.tolist() == [0, 3, 6]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"dones": [0, 0, 1, 0, 0, 1], "timeouts": [0, 1, 0, 0, 0, 1]}, "timeouts is 1 at row 1 where dones is 0"),
        ({"dones": [0, 0, 1, 0, 0, 0], "terminals": [0, 0, 1, 0, 0, 1]}, "terminals is 1 at row 5 where dones is 0"),
        (
            {"dones": [0, 1, 1, 0, 0, 0], "terminals": [0, 0, 1, 0, 0, 0], "timeouts": [0] * 6},
            "dones is 1 at row 1 where no termination or truncation is 1",
        ),
        (
            {"is_first": [1, 0, 0, 0, 1, 0], "terminals": [0, 0, 1, 0, 0, 0]},
            "is_first is 0 at row 3 although an episode",
        ),
        ({"episodes": [1, 1, 1, 2, 2, 2], "dones": [0, 1, 1, 0, 0, 1]}, "dones is 1.0 at row 1, expected 0.0 before"),
        (
            {"episodes": [1, 1, 1, 2, 2, 2], "is_first": [1, 1, 0, 1, 0, 0]},
            "is_first is 1.0 at row 1, expected 0.0 wit",
        ),
        ({"dones": [0, 0, 2, 0, 0, 1]}, "ends is 2.0 at row 2, expected 0.0 or 1.0; .*; ends is 'dones' there"),
        ({"terminals": [0, 0, np.nan, 0, 0, 1]}, "terminations is nan at row 2, expected 0.0 or 1.0"),
        ({"dones": [0, 1]}, "ends has 2 rows, expected 6"),
    ],
)
def test_flags_that_do_not(flags: dict[str, Any], message: str) -> None:
    with pytest.raises(DatasetError, match=f"^log: {message}"):
        read(flags)


def test_a_last_observation_within_an_episode_is_refused() -> None:
    arrays = {key: value for key, value in ROWS.items() if key != "next_observations"}
    arrays |= {"is_last": np.array([0, 1, 0, 0, 0, 1]), "episodes": np.array([1] * 6)}
    with pytest.raises(DatasetError, match=r"is_last is 1.0 at row 1, expected 0.0 before the end"):
        Columns().read(arrays, "log", {}, "log")


def test_the_place_in_an_episode_is_told() -> None:
    block = {"observations": np.zeros((2, 4, 1)), "actions": np.zeros((2, 3, 1)), "rewards": np.zeros((2, 3))}
    with pytest.raises(DatasetError, match=r"terminations is 1.0 at row 5, .*; that is row 1 of episode 1"):
        from_arrays(**block, terminations=np.array([[0, 0, 1], [0, 1, 0]]))


def test_rewards_beside_a_last_observation_are_told_and_may_be_read() -> None:
    arrays = {key: value for key, value in ROWS.items() if key != "next_observations"}
    arrays |= {"is_last": np.array([0, 0, 1, 0, 0, 1]), "is_terminal": np.array([0, 0, 1, 0, 0, 0])}
    data, account = Columns().read(arrays, "log", {}, "log")
    assert data.rewards.tolist() == [1, 1, 1, 1]
    assert data.terminations.tolist() == [0, 1, 0, 0]
    assert data.next_observations[:, 0].tolist() == [1, 2, 4, 5]
    assert account.logged_return_mean == 3.0
    assert any("have a reward of 2 in total, which is not used" in note for note in account.notes)
    other = changed(Columns(), "here", {"ends": "is_last"}).read(arrays, "log", {}, "log").data
    assert other.rewards.tolist() == [1, 1, 1, 1, 1]
    assert other.terminations.tolist() == [0, 0, 1, 0, 0]
