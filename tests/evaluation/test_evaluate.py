"""merpo.evaluation.evaluate: batched rollouts against one environment at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from broken import SMALL, delegate
from ending import _Ending
from small import make

from merpo.evaluation.evaluate import evaluate, oracle_evaluation, starts


def family(**fields: Any) -> Any:
    return make("tasks", "point-robot-wind", **{"horizon": 6, **fields})


def steer(observations: torch.Tensor) -> torch.Tensor:
    """A policy that depends on the observation and, by the position in the batch, on the task."""
    tasks = torch.arange(observations.shape[0]).view(-1, 1, 1)
    return (0.3 * (tasks + 1) - observations).tanh()


def test_episodes_of_other_runs_and_of_the_data_begin_elsewhere() -> None:
    begun = {seed: {starts(seed) + e for e in range(1000)} for seed in range(20)}
    assert len(set().union(*begun.values(), range(1000))) == 21 * 1000
    assert all(0 <= starts(seed) < 2**31 for seed in begun)


def test_returns_are_those_of_one_environment_at_a_time() -> None:
    source = family()
    tasks, _ = source.tasks(3, 0)
    found = evaluate(source, tasks, steer, episodes=2, seed=5)
    assert found.returns.shape == found.lengths.shape == (3, 2)
    for t, task in enumerate(tasks):
        env = source.make(task)
        observation, _ = env.reset(seed=5)
        path, total, done = [list(map(float, observation))], 0.0, False
        while not done:
            action = torch.tanh(0.3 * (t + 1) - torch.as_tensor(observation))
            observation, reward, terminated, truncated, _ = env.step(action.numpy())
            path.append(list(map(float, observation)))
            total, done = total + float(reward), terminated or truncated
        assert found.returns[t].tolist() == pytest.approx([total] * 2, abs=1e-4)
        assert found.lengths[t].tolist() == [6.0, 6.0]
        assert found.terminations[t].tolist() == [0.0, 0.0], "time is no termination"
        np.testing.assert_allclose(found.trajectories[t], path, atol=1e-5)


def test_an_ended_episode_is_not_stepped_again() -> None:
    kind, name, base, fields = SMALL["tasks"]
    source: Any = delegate(kind, name, base, fields, make=lambda inner, task: _Ending(task["length"]))()
    found = evaluate(source, [{"length": 2}, {"length": 4}], steer, episodes=2, seed=0)
    assert found.lengths.tolist() == [[2, 2], [4, 4]]
    assert found.returns.tolist() == [[2, 2], [4, 4]]
    assert found.terminations.tolist() == [[1, 1], [1, 1]], "each is counted once, though the other task goes on"
    assert [len(path) for path in found.trajectories] == [3, 5]


def test_an_unknown_oracle_gives_no_evaluation() -> None:
    kind, name, base, fields = SMALL["tasks"]
    source: Any = delegate(kind, name, base, fields, oracle=lambda inner, task: None)()
    assert oracle_evaluation(source, source.tasks(1, 0)[0], 1, 0) is None


@pytest.mark.parametrize("name", ["logs", "locomotion", "half-cheetah-fwd-back", "walker-2d-params", "ant-fwd-back"])
def test_a_family_has_no_oracle_unless_it_says_so(name: str) -> None:
    source = make("tasks", name)
    assert source.oracle(source.tasks(1, 0)[0][0]) is None


def test_the_oracle_is_better_than_standing_still() -> None:
    source = family(horizon=25)
    tasks, _ = source.tasks(3, 0)
    oracle = oracle_evaluation(source, tasks, 1, 0)
    assert oracle is not None
    still = evaluate(source, tasks, lambda s: torch.zeros(*s.shape[:2], 2), 1, 0)
    assert bool((oracle.returns > still.returns).all())
