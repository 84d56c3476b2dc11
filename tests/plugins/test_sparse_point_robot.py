"""merpo_tasks: Sparse-Point-Robot against its definition and PEARL's draws."""

from __future__ import annotations

import copy
import math
import pickle
import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st
from small import make

from merpo.evaluation.evaluate import oracle_evaluation
from merpo.testing import check_component

ID = "merpo_tasks.gym_ids:merpo/SparsePointRobot-v0"
ACTIONS = st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=1, max_size=20)


def family(**fields: Any) -> Any:
    return make("tasks", "sparse-point-robot", **fields)


def test_gymnasium_makes_checks_and_copies_the_registered_environment() -> None:
    env = gymnasium.make(ID, goal=(0.0, 0.15), reward="sparse")
    assert env.spec is not None
    assert env.spec.max_episode_steps == 20
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice on unbounded observations
        check_env(env.unwrapped)
    for one in (env.unwrapped, copy.deepcopy(env.unwrapped), pickle.loads(pickle.dumps(env.unwrapped))):
        one.reset(seed=0)
        observation, reward, *_ = one.step(np.array([0.0, 0.1], dtype=np.float32))
        assert observation.tolist() == pytest.approx([0.0, 0.1])
        assert reward == pytest.approx(0.95)


@settings(max_examples=25)
@given(actions=ACTIONS, angle=st.floats(0, math.pi))
@pytest.mark.parametrize("reward", ["dense", "sparse"])
def test_states_and_rewards_are_the_definition(reward: str, actions: list[tuple[float, float]], angle: float) -> None:
    goal = [math.cos(angle), math.sin(angle)]
    env = family(reward=reward).make({"goal": goal})
    env.reset(seed=0)
    x = y = 0.0
    for step, action in enumerate(actions, 1):
        observation, paid, terminated, truncated, info = env.step(np.array(action, dtype=np.float32))
        x, y = x + 0.1 * action[0], y + 0.1 * action[1]
        distance = math.hypot(x - goal[0], y - goal[1])
        assert observation.tolist() == pytest.approx([x, y], abs=1e-5)
        if abs(distance - 0.2) > 1e-5:
            sparse = 1 - distance if distance < 0.2 else 0.0
            assert info["sparse_reward"] == pytest.approx(sparse, abs=1e-5)
            assert paid == pytest.approx(-distance if reward == "dense" else sparse, abs=1e-5)
        assert (terminated, truncated) == (False, step == 20)


def test_goals_are_pearls() -> None:
    """100 evenly spaced angles; the rows of the goals shuffled after np.random.seed(1337); 80 and 20."""
    train, test = family().tasks(80, 20)
    angles = [math.atan2(task["goal"][1], task["goal"][0]) for task in train + test]
    assert sorted(angles) == pytest.approx([math.pi * i / 99 for i in range(100)])
    order = np.arange(100).reshape(100, 1)
    np.random.RandomState(1337).shuffle(order)
    assert angles == pytest.approx([math.pi * int(i) / 99 for i in order[:, 0]])
    assert (len(train), len(test)) == (80, 20)


def test_corros_goals_are_uniform_on_the_half_circle() -> None:
    train, test = family(variant="corro").tasks(300, 100)
    goals = np.array([task["goal"] for task in train + test])
    assert np.hypot(*goals.T) == pytest.approx(1.0)
    angles = np.sort(np.arctan2(goals[:, 1], goals[:, 0]))
    assert np.abs(angles / math.pi - np.arange(400) / 400).max() < 1.95 / 20  # Kolmogorov-Smirnov at the level 0.001


@pytest.mark.parametrize("fields", [{}, {"variant": "corro", "horizon": 10}, {"reward": "sparse"}])
def test_the_laws_of_families(fields: dict[str, Any]) -> None:
    check_component(type(family()), **fields)


def test_the_oracles_returns_on_the_axis() -> None:
    """To (0.97, 0) it takes ten steps: the distances are 0.87, ..., 0.17, 0.07, and eleven times 0."""
    goal: list[Any] = [{"goal": [0.97, 0.0]}]
    for reward, expected in (("dense", -9 * 0.47), ("sparse", 11 + 0.93 + 0.83)):
        evaluation = oracle_evaluation(family(reward=reward), goal, episodes=1, seed=0)
        assert evaluation is not None
        found = float(evaluation.returns[0, 0])
        assert found == pytest.approx(expected, abs=1e-4), reward


@pytest.mark.parametrize("reward", ["dense", "sparse"])
def test_no_disturbed_policy_beats_the_oracle(reward: str) -> None:
    source, random = family(reward=reward), np.random.default_rng(0)
    for task in source.tasks(5, 0)[0]:
        oracle = source.oracle(task)

        def play(scale: float, task: Any = task, oracle: Any = oracle) -> float:
            env = source.make(task)
            seen, _ = env.reset(seed=0)
            total = 0.0
            for _ in range(20):
                action = np.clip(oracle(seen) + scale * random.normal(size=2), -1, 1).astype(np.float32)
                seen, paid, *_ = env.step(action)
                total += float(paid)
            return total

        best = play(0.0)
        assert all(play(scale) <= best + 1e-4 for scale in (0.3, 1.0, 2.0))


def test_a_picture_shows_the_point_and_the_goal() -> None:
    env = gymnasium.make(ID, goal=(0.0, 1.0), render_mode="rgb_array")
    env.reset(seed=0)
    image = np.asarray(env.render())
    assert (image.shape, image.dtype) == ((240, 320, 3), np.uint8)
    assert image[170, 160].tolist() == [204, 51, 25]  # the origin
    assert image[70, 160].tolist() == [153, 216, 153]  # the goal
    for _ in range(10):
        env.step(np.array([0.0, 0.1], dtype=np.float32))
    assert np.asarray(env.render())[70, 160].tolist() == [204, 51, 25]
