"""merpo_tasks: Point-Robot-Wind against its definition, FOCAL's draws and known returns."""

from __future__ import annotations

import math
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

ID = "merpo_tasks.gym_ids:merpo/PointRobotWind-v0"
ACTIONS = st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=1, max_size=10)


def family(**fields: Any) -> Any:
    return make("tasks", "point-robot-wind", **fields)


def test_gymnasium_makes_and_checks_the_registered_environment() -> None:
    env = gymnasium.make(ID)
    assert env.spec is not None
    assert env.spec.max_episode_steps == 25
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice on unbounded observations
        check_env(env.unwrapped, skip_render_check=True)
    other = gymnasium.make(ID, wind=(0.01, -0.02), goal=(0.0, 1.0))
    other.reset(seed=0)
    observation, reward, *_ = other.step(np.array([0.1, 0.1], dtype=np.float32))
    assert observation.tolist() == pytest.approx([0.11, 0.08], abs=1e-6)
    assert reward == pytest.approx(-math.hypot(0.11, 0.92), abs=1e-6)


@settings(max_examples=25)
@given(actions=ACTIONS, wind=st.tuples(st.floats(-0.1, 0.1), st.floats(-0.1, 0.1)), angle=st.floats(0, math.pi))
def test_states_and_rewards_are_the_definition(
    actions: list[tuple[float, float]], wind: tuple[float, float], angle: float
) -> None:
    goal = (math.cos(angle), math.sin(angle))
    env = family().make({"wind": list(wind), "goal": list(goal)})
    observation, _ = env.reset(seed=0)
    x = y = 0.0
    assert observation.tolist() == [0.0, 0.0]
    for action in actions:
        observation, reward, terminated, truncated, _ = env.step(np.array(action, dtype=np.float32))
        x, y = x + 0.1 * action[0] + wind[0], y + 0.1 * action[1] + wind[1]
        assert observation.tolist() == pytest.approx([x, y], abs=1e-5)
        assert reward == pytest.approx(-math.hypot(x - goal[0], y - goal[1]), abs=1e-5)
        assert not terminated
        assert not truncated


def test_actions_outside_the_box_are_clipped() -> None:
    env = gymnasium.make(ID, disable_env_checker=True).unwrapped
    env.reset(seed=0)
    observation, *_ = env.step(np.array([5.0, -5.0], dtype=np.float32))
    assert observation.tolist() == pytest.approx([0.1, -0.1])


def test_an_episode_is_cut_by_time_and_never_ends_otherwise() -> None:
    env = family(horizon=7).make(family().tasks(1, 0)[0][0])
    env.reset(seed=0)
    ends = [env.step(np.zeros(2, dtype=np.float32))[2:4] for _ in range(7)]
    assert ends == [(False, False)] * 6 + [(False, True)]
    assert family().spec().terminated is None


def test_tasks_are_focals_draws() -> None:
    """RandomState(1337): all x winds, then all y winds, each uniform in ±0.05; the last tasks are unseen."""
    train, test = family().tasks(40, 10)
    random = np.random.RandomState(1337)
    x, y = random.uniform(-0.05, 0.05, 50), random.uniform(-0.05, 0.05, 50)
    assert [task["wind"] for task in train + test] == [[float(a), float(b)] for a, b in zip(x, y, strict=True)]
    assert all(task["goal"] == [1.0, 0.0] for task in train + test)
    assert (len(train), len(test)) == (40, 10)


def test_goals_may_lie_on_the_semicircle() -> None:
    train, test = family(goal="semicircle").tasks(20, 5)
    goals = [task["goal"] for task in train + test]
    assert all(math.hypot(*goal) == pytest.approx(1.0) and goal[1] >= 0 for goal in goals)
    assert len({tuple(goal) for goal in goals}) == 25
    fixed, _ = family().tasks(20, 5)
    assert [task["wind"] for task in train] == [task["wind"] for task in fixed]


def test_the_oracles_returns_are_known() -> None:
    """Horizon 25, the 50 winds of seed 1337."""
    train, test = family().tasks(40, 10)
    evaluation = oracle_evaluation(family(), train + test, episodes=1, seed=0)
    assert evaluation is not None
    returns = evaluation.returns[:, 0]
    found = [float(x) for x in (returns.mean(), returns.min(), returns.max(), returns[:40].mean(), returns[40:].mean())]
    assert found == pytest.approx([-5.11, -9.44, -2.86, -5.09, -5.20], abs=0.006)


@settings(max_examples=15)
@given(seed=st.integers(0, 1000), noise=st.floats(0, 2))
def test_no_disturbed_policy_beats_the_oracle(seed: int, noise: float) -> None:
    source = family()
    task = source.tasks(3, 0)[0][seed % 3]
    oracle, random = source.oracle(task), np.random.default_rng(seed)

    def play(scale: float) -> float:
        env = source.make(task)
        observation, _ = env.reset(seed=0)
        total = 0.0
        for _ in range(source.horizon):
            action = np.clip(oracle(observation) + scale * random.normal(size=2), -1, 1).astype(np.float32)
            observation, reward, *_ = env.step(action)
            total += float(reward)
        return total

    assert play(noise) <= play(0.0) + 1e-5


def test_a_picture_shows_the_point_and_the_goal() -> None:
    task = {"wind": [0.0, 0.0], "goal": [0.0, 1.0]}
    env = make("tasks", "point-robot-wind", horizon=9).make(task)
    env.reset()
    assert env.unwrapped.render() is None
    env.unwrapped.render_mode = "rgb_array"
    red, green = [204, 51, 25], [153, 216, 153]
    first = np.asarray(env.render())
    assert (first[170, 160].tolist(), first[70, 160].tolist()) == (red, green)
    for _ in range(5):
        env.step(np.array([1.0, 0.0], dtype=np.float32))
    assert np.asarray(env.render())[170, 210].tolist() == red
