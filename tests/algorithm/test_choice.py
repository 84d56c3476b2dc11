"""merpo.algorithm.choice: the candidate with the highest return in each task's model."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import torch
from small import SPEC, streams, task_data
from strategies import make_dataset

from merpo.algorithm.choice import STARTS, choose, model_returns
from merpo.algorithm.halting import THRESHOLD
from merpo.data.dataset import stack_tasks
from merpo.nn.params import stack
from merpo.nn.policy import init_policy
from merpo.types import Params

HORIZON = 5  # the length of the data's episodes


def step(models: Params, spec: Any, observations: Any, actions: Any, noise: Any) -> Any:
    """s' = s + θ a in the first two dims; the reward is the first action times θ; ends where s₀ exceeds 3."""
    theta = models["theta"][:, None]  # [T, 1]
    following = observations.clone()
    following[..., :2] += theta[..., None] * actions
    return following, theta * actions[..., 0], (following[..., 0] > 3.0).float()


def disagreement(models: Params, observations: Any, actions: Any) -> Any:
    return observations[..., 1].abs()


MODEL: Any = SimpleNamespace(step=step, disagreement=disagreement)


def policies(*biases: float) -> Params:
    """Constant actions tanh(bias), one policy per task."""
    made = []
    for bias in biases:
        params = {k: torch.zeros_like(v) for k, v in init_policy(SPEC, (8,), torch.Generator()).items()}
        params["b1"][:2] = bias
        made.append(params)
    return stack(made)


def test_returns_are_those_of_a_plain_loop() -> None:
    data = task_data(2)
    models = {"theta": torch.tensor([1.0, -2.0]), THRESHOLD: torch.tensor([[2.0], [3.0]])}
    found = model_returns(MODEL, models, policies(0.4, -0.7), data, streams(2))
    assert found.shape == (2, STARTS)
    for t, (theta, bias, threshold) in enumerate(((1.0, 0.4, 2.0), (-2.0, -0.7, 3.0))):
        rows, offsets = data.in_order(t)
        episodes = [rows.rewards[a:b].sum() for a, b in pairwise(offsets)]
        worst = float(min(episodes)) / 5.0
        action = float(torch.tensor(bias).tanh())
        for i in range(STARTS):
            state = rows.observations[offsets[i % len(episodes)]].clone()
            total, alive = 0.0, True
            for k in range(HORIZON):
                if alive and abs(float(state[1])) > threshold:
                    total += worst * (HORIZON - k)
                    alive = False
                if not alive:
                    break
                state[:2] += theta * action
                total += theta * action
                alive = float(state[0]) <= 3.0
            torch.testing.assert_close(float(found[t, i]), total, rtol=1e-4, atol=1e-4)


def test_each_task_keeps_its_own_best() -> None:
    """θ of opposite signs: what is best for one task is worst for the other."""
    data, models = task_data(2), {"theta": torch.tensor([1.0, -1.0])}
    candidates = {0: policies(-0.1, -0.1), 10: policies(0.3, 0.3), -1: policies(0.1, 0.1)}
    found = choose(MODEL, models, candidates, data, streams(2))
    assert found.candidates == (0, 10, -1)
    assert found.position.tolist() == [1, 0]
    for key, value in found.policy.items():
        assert torch.equal(value[0], candidates[10][key][0])
        assert torch.equal(value[1], candidates[0][key][1])
    assert torch.equal(found.returns.argmax(0), found.position)


def test_a_task_with_longer_episodes_changes_no_other() -> None:
    made = [make_dataset([n] * 3, [False] * 3, 3, 2, seed=n) for n in (4, 9)]
    data, models = stack_tasks(made, SPEC), {"theta": torch.tensor([0.1, 0.2])}
    together = model_returns(MODEL, models, policies(0.3, 0.3), data, streams(2))
    for t in range(2):
        own = {key: value[t : t + 1] for key, value in models.items()}
        alone = model_returns(MODEL, own, policies(0.3), data.select([t]), streams(1))
        torch.testing.assert_close(together[t], alone[0])
