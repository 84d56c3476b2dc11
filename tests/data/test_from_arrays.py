"""from_arrays: whatever shape logs have, the same transitions come out, or a named refusal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import SEEDS, task_datasets

from merpo import TaskDataset
from merpo.data.from_arrays import from_arrays
from merpo.data.validate import ARRAYS
from merpo.errors import DatasetError, MerpoError


def same(a: TaskDataset, b: TaskDataset) -> bool:
    return all(getattr(a, key).equal(getattr(b, key)) for key in ARRAYS)


def whole(seed: int, lengths: list[int], as_torch: bool = False) -> dict[str, Any]:
    """Episodes of length L with L + 1 observations, as logs of a machine have them."""
    random = np.random.default_rng(seed)
    episodes = {
        "observations": [random.normal(size=(n + 1, 3)) for n in lengths],
        "actions": [random.uniform(-1, 1, (n, 2)) for n in lengths],
        "rewards": [random.normal(size=n) for n in lengths],
    }
    return {k: [torch.as_tensor(x) for x in v] for k, v in episodes.items()} if as_torch else episodes


@given(task_datasets())
def test_a_datasets_own_arrays_give_it_back(data: TaskDataset) -> None:
    arrays = {key: getattr(data, key) for key in ARRAYS if key != "episode_offsets"}
    assert same(from_arrays(**arrays), data)
    assert same(from_arrays(**{key: value.double().numpy() for key, value in arrays.items()}), data)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), SEEDS, st.booleans())
def test_episodes_become_rows(lengths: list[int], seed: int, as_torch: bool) -> None:
    logs = whole(seed, lengths, as_torch)
    data = from_arrays(**logs, task={"load": 2}, name="pump")
    assert data.episode_offsets.tolist() == np.cumsum([0, *lengths]).tolist()
    row = 0
    for e, n in enumerate(lengths):
        for i in range(n):
            for key, expected in (
                ("observations", logs["observations"][e][i]),
                ("next_observations", logs["observations"][e][i + 1]),
                ("actions", logs["actions"][e][i]),
                ("rewards", logs["rewards"][e][i]),
            ):
                np.testing.assert_allclose(getattr(data, key)[row].numpy(), np.asarray(expected), rtol=1e-6)
            assert float(data.truncations[row]) == float(i == n - 1)
            row += 1
    assert not data.terminations.any()
    assert (data.task, data.name, row) == ({"load": 2}, "pump", len(data))


def test_blocks_are_episodes() -> None:
    logs = whole(0, [4, 4])
    assert same(
        from_arrays(**{key: np.stack(value) for key, value in logs.items()}),
        from_arrays(**logs),
    )


@given(st.lists(st.integers(2, 5), min_size=1, max_size=4))
def test_without_next_observations_an_episodes_last_row_is_left_out(lengths: list[int]) -> None:
    rows = sum(lengths)
    seen = np.arange(rows, dtype=np.float64)
    labels = np.repeat([f"day {e}" for e in range(len(lengths))], lengths)
    data = from_arrays(seen, np.zeros(rows), seen, episodes=labels)
    assert data.observations.shape[1] == data.actions.shape[1] == 1
    assert len(data) == rows - len(lengths)
    assert (data.next_observations - data.observations).eq(1.0).all()
    assert data.episode_offsets.diff().tolist() == [n - 1 for n in lengths]


def test_actions_are_scaled_from_their_box() -> None:
    actions = np.array([[0.0, -2.0], [5.0, 2.0], [10.0, 0.0]])
    data = from_arrays(np.zeros((3, 1)), actions, np.zeros(3), np.ones((3, 1)), action_low=[0, -2], action_high=[10, 2])
    assert data.actions.tolist() == [[-1.0, -1.0], [0.0, 1.0], [1.0, 0.0]]


def test_a_dataset_has_its_own_numbers() -> None:
    rewards, seen = np.zeros(2, np.float32), torch.zeros(2, 1)
    data = from_arrays(seen, np.zeros(2, ">i2"), rewards, seen)
    rewards += 1
    seen += 1
    assert not data.rewards.any()
    assert not data.observations.any()


GOOD: dict[str, Any] = {
    "observations": np.zeros((4, 2)), "actions": np.zeros((4, 1)), "rewards": np.zeros(4),
    "next_observations": np.zeros((4, 2)),
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"actions": np.full((4, 1), 3.0)}, r"pump: actions is 3.0 at row 0, column 0, expected within \[-1, 1\]"),
        ({"action_low": 0.0}, "action_low and action_high are 0.0 and None, expected both or neither"),
        ({"action_low": 1.0, "action_high": 1.0}, "expected less than action_high"),
        ({"action_low": [0.0, 1.0], "action_high": 2.0}, "action_low is .*expected a finite number or 1 of them"),
        ({"action_low": 1.0, "action_high": 2.0}, r"actions is 0 at row 0, column 0, expected within \[1, 2\]"),
        ({"action_low": float("nan"), "action_high": 2.0}, "action_low is nan"),
        ({"rewards": np.zeros(3)}, "rewards has 3 rows, expected 4, as observations have"),
        ({"rewards": np.array(["a"] * 4)}, "rewards is an array of <U1"),
        ({"rewards": [[1], [1, 2]]}, "rewards is not an array of numbers"),
        ({"rewards": np.array([None] * 4)}, "rewards is an array of object"),
        ({"rewards": np.zeros(4, dtype=complex)}, "expected real numbers"),
        ({"rewards": np.array([0, 0, 0, 1e300])}, "rewards is inf at row 3"),
        ({"rewards": np.array([0, 0, 0, np.inf])}, "rewards is inf at row 3"),
        ({"observations": np.zeros((0, 2)), "rewards": []}, "has 4 rows, expected 0"),
        ({**{key: value[:0] for key, value in GOOD.items()}}, "is empty"),
        ({"observations": [np.zeros((4, 2))], "actions": 3.0}, "actions is 3.0, expected an array per episode"),
        ({"observations": np.zeros((4, 2, 2, 1))}, "expected 2 dim"),
        ({"next_observations": None, "episodes": [0, 1, 1, 1]}, "episode 0 has one row, expected two"),
        ({"episodes": [0, 1, 0, 0]}, "rows of an episode are not contiguous"),
        ({"episodes": [0, np.nan, 1, 1]}, "episodes has no label in row 1"),
        ({"episodes": ["a", "a", "", "b"]}, "episodes has no label in row 2"),
        ({"episodes": ["a", "a", "b", None]}, "episodes has no label in row 3"),
        ({"episodes": [0, 1]}, r"episodes has shape \(2,\)"),
        ({"terminations": [0, 0.5, 0, 0]}, "terminations is 0.5 at row 1"),
        ({"observations": [np.zeros((3, 2))], "actions": [np.zeros((3, 1))], "rewards": [np.zeros(3)],
          "next_observations": None}, "episode 0: 3 observations and 3 actions, expected 4 observations"),
        ({"observations": [np.zeros((3, 2))] * 2, "actions": [np.zeros((3, 1))]}, "observations has 2 episodes"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_name(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        from_arrays(**{**GOOD, "name": "pump", **change})


SCALARS = st.one_of(
    st.none(), st.floats(), st.integers(), st.booleans(), st.text(max_size=2), st.datetimes(), st.just(np.ma.masked)
)
ANYTHING = st.recursive(
    SCALARS,
    lambda below: st.one_of(st.lists(below, max_size=4), st.dictionaries(st.text(max_size=1), below, max_size=2)),
    max_leaves=12,
)
KEYS = [*GOOD, "terminations", "truncations", "episodes", "action_low", "subtract"]


@given(
    st.dictionaries(st.sampled_from(KEYS), ANYTHING),
    st.sampled_from(["refuse", "drop", "hold"]), st.booleans(), st.booleans(),
)  # fmt: skip
def test_only_the_librarys_own_error_escapes(change: dict[str, Any], gaps: Any, clip: bool, flatten: bool) -> None:
    try:
        data = from_arrays(**{**GOOD, **change}, gaps=gaps, clip_actions=clip, flatten=flatten, note=lambda _: None)
    except MerpoError:
        return
    assert len(data) >= 1
