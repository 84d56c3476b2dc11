"""merpo_tasks: Gymnasium's own half cheetah, hopper and walker, number by number, with their ends in the model too."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from small import make

from merpo.errors import MerpoError
from merpo.testing import check_component

pytest.importorskip("mujoco.batch", reason="MuJoCo is not installed, or older than merpo's extra `mujoco` asks for")

from merpo_tasks.mujoco.simulation import logged_warnings

BODIES = {"halfcheetah": "HalfCheetah-v5", "hopper": "Hopper-v5", "walker2d": "Walker2d-v5"}
EACH = pytest.mark.parametrize("body", BODIES)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with logged_warnings():
        yield


def family(body: str, **fields: Any) -> Any:
    return make("tasks", "locomotion", body=body, **fields)


@EACH
def test_the_laws_of_families(body: str) -> None:
    check_component(type(family(body)), body=body, horizon=15)


@EACH
def test_gymnasium_makes_and_checks_the_registered_environment(body: str) -> None:
    env = gymnasium.make("merpo_tasks.gym_ids:merpo/Locomotion-v0", body=body, render_mode="rgb_array")
    assert env.spec is not None
    assert env.spec.max_episode_steps == family(body).horizon == 1000
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*(infinity|precision lowered|render).*")
        check_env(env.unwrapped)
    env.reset(seed=0)
    assert np.asarray(env.render()).std() > 1


@EACH
@pytest.mark.parametrize("size", [0.2, 1.0])
def test_observations_rewards_and_ends_are_gymnasiums(body: str, size: float) -> None:
    one = family(body)
    ours, theirs = one.make({}), gymnasium.make(BODIES[body])
    spec, random = one.spec(), np.random.default_rng(0)
    ended = 0
    for episode in range(5):
        seen, other = ours.reset(seed=episode)[0], theirs.reset(seed=episode)[0]
        for step in range(120):
            np.testing.assert_array_equal(seen, np.asarray(other, dtype=np.float32))
            action = random.uniform(-size, size, spec.action_dim).astype(np.float32)
            seen, reward, terminated, truncated, _ = ours.step(action)
            other, their_reward, their_end, _, _ = theirs.step(action)
            assert reward == pytest.approx(float(their_reward), abs=1e-6), (episode, step)
            assert (terminated, truncated) == (their_end, False)
            if spec.terminated is not None:
                told = spec.terminated(torch.zeros(1), torch.zeros(1), torch.as_tensor(seen)[None])
                assert told.tolist() == [float(terminated)], "a model's rollouts end where the environment's do"
            ended += terminated
            if terminated:
                break
    assert (ended >= 3) == (body != "halfcheetah")


def test_a_hopper_ends_in_every_way() -> None:
    ends = family("hopper").spec().terminated
    standing = torch.zeros(11)
    standing[0] = 1.25
    rows = standing.repeat(8, 1)
    for row, (place, value) in enumerate(((0, 0.7), (1, 0.2), (1, -0.2), (4, 100.0), (10, -100.0), (3, torch.nan)), 1):
        rows[row, place] = value
    rows[7, 0] = 1e3  # however high
    assert ends(rows, torch.zeros(8, 3), rows).tolist() == [0.0, *[1.0] * 6, 0.0]


def test_data_of_another_body_is_refused_by_name() -> None:
    one = family("walker2d")  # as many dims as the half cheetah
    one.make({"minari": "mujoco/walker2d/medium-v0", "environment": "Walker2d-v5"}).close()
    one.make({"minari": "mine/walker2d-v0"}).close()
    for task, words in (
        ({"environment": "HalfCheetah-v5"}, r"HalfCheetah-v5, expected Walker2d-v5 or earlier; .*body = 'halfcheetah'"),
        ({"environment": "Pusher-v5"}, r"data of Pusher-v5, expected Walker2d-v5 or earlier$"),
    ):
        for ask in (one.make, lambda task: one.grid([task], 1, 0, False)):
            with pytest.raises(MerpoError, match=words):
                ask(task)
