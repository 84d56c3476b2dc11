"""merpo_tasks: Half-Cheetah-Fwd-Back against Gymnasium's half cheetah, from whose numbers its own follow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
from small import make

pytest.importorskip("mujoco.batch", reason="MuJoCo is not installed, or older than merpo's extra `mujoco` asks for")

from merpo_tasks.mujoco.simulation import logged_warnings


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with logged_warnings():
        yield


def family(**fields: Any) -> Any:
    return make("tasks", "half-cheetah-fwd-back", **fields)


@pytest.mark.parametrize("direction", [-1, 1])
def test_observations_and_rewards_along_an_action_sequence(direction: int) -> None:
    ours = family().make({"direction": direction})
    theirs: Any = gymnasium.make(
        "HalfCheetah-v5", max_episode_steps=200, exclude_current_positions_from_observation=False
    )
    seen, _ = ours.reset(seed=3)
    other, _ = theirs.reset(seed=3)
    data = theirs.unwrapped.data
    x, random = other[0], np.random.default_rng(0)
    for step in range(200):
        expected = [*other[1:], *data.body("torso").xpos]
        assert seen.tolist() == pytest.approx(expected, abs=1e-5), step
        action = random.uniform(-1, 1, 6).astype(np.float32)
        seen, reward, terminated, truncated, _ = ours.step(action)
        other, *_ = theirs.step(action)
        assert reward == pytest.approx(
            direction * (other[0] - x) / 0.05 - 0.05 * sum(float(a) ** 2 for a in action), abs=1e-6
        )
        assert (terminated, truncated) == (False, step == 199)
        x = other[0]


def test_actions_outside_of_the_box_act_and_cost_as_its_edge() -> None:
    rows = []
    for size in (1.0, 3.0):
        env = family().make({"direction": 1})
        env.reset(seed=0)
        seen, reward, *_ = env.unwrapped.step(np.full(6, size, dtype=np.float32))
        rows.append([*seen.tolist(), reward])
    assert rows[0] == rows[1]


def test_focals_tasks_are_backward_and_forward_and_the_unseen_ones_are_the_same_two() -> None:
    train, test = family().tasks(2, 2)
    assert train == test == [{"direction": -1}, {"direction": 1}]
    assert [task["direction"] for task in family().tasks(4, 3)[1]] == [-1, 1, -1]


def test_corros_tasks_are_coins() -> None:
    one = family(variant="corro")
    train, test = one.tasks(500, 500)
    drawn = [task["direction"] for task in train + test]
    assert set(drawn) == {-1, 1}
    assert abs(sum(drawn)) < 4 * 1000**0.5  # four standard deviations of a fair coin
    assert drawn != [task["direction"] for tasks in family(variant="corro", seed=1).tasks(500, 500) for task in tasks]


def test_an_episode_ends_by_time_alone() -> None:
    assert family().spec().terminated is None
