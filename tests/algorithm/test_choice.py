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
    cautious, plain, unknown = model_returns(MODEL, models, policies(0.4, -0.7), data, streams(2))
    assert cautious.shape == plain.shape == unknown.shape == (2, STARTS)
    for t, (theta, bias, threshold) in enumerate(((1.0, 0.4, 2.0), (-2.0, -0.7, 3.0))):
        rows, offsets = data.in_order(t)
        episodes = [rows.rewards[a:b].sum() for a, b in pairwise(offsets)]
        worst = float(min(episodes)) / 5.0
        action = float(torch.tensor(bias).tanh())
        for i in range(STARTS):
            state = rows.observations[offsets[i % len(episodes)]].clone()
            whole, careful, known, beyond = 0.0, 0.0, True, 0
            for k in range(HORIZON):
                beyond += abs(float(state[1])) > threshold
                if known and abs(float(state[1])) > threshold:
                    careful += worst * (HORIZON - k)
                    known = False
                state[:2] += theta * action
                whole += theta * action
                careful += theta * action if known else 0.0
                if float(state[0]) > 3.0:
                    break
            torch.testing.assert_close(float(unknown[t, i]), beyond / (k + 1))
            torch.testing.assert_close(float(plain[t, i]), whole, rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(float(cautious[t, i]), careful, rtol=1e-4, atol=1e-4)


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
    assert torch.equal(found.returns.plain.argmax(0), found.position)


def test_the_first_stays_unless_both_returns_are_higher() -> None:
    """Large actions pay more where the model is trusted everywhere, and lead to where it is not to be trusted."""
    data = task_data(1)
    candidates = {0: policies(0.05), 10: policies(2.0)}
    far = {"theta": torch.tensor([1.0]), THRESHOLD: torch.tensor([[1e9]])}
    assert choose(MODEL, far, candidates, data, streams(1)).position.tolist() == [1]
    rows = data.rows.clone()
    rows[:, 1] = rows[:, 1].clamp(-0.5, 0.5)  # all starts are known
    rows[:, 5] = -10.0  # the logs earn little, and so does what is unknown
    near = {**far, THRESHOLD: torch.tensor([[0.9]])}
    found = choose(MODEL, near, candidates, data._replace(rows=rows), streams(1))
    assert bool(found.returns.plain[1] > found.returns.plain[0])
    assert bool(found.returns.cautious[1] < found.returns.cautious[0])
    assert found.position.tolist() == [0]


def test_a_policy_that_leaves_what_the_model_knows_is_no_candidate() -> None:
    """Both returns are higher, as the logs' worst is near 0; but a fifth of the steps or more are not known."""
    data = task_data(1)
    rows = data.rows.clone()
    rows[:, :2] = rows[:, :2].clamp(-0.1, 0.1)
    rows[:, 5] = -1e-3
    data, models = data._replace(rows=rows), {"theta": torch.tensor([1.0]), THRESHOLD: torch.tensor([[0.9]])}
    for first, position in ((0.05, 0), (0.277, 1)):  # the second first policy leaves it as often
        found = choose(MODEL, models, {0: policies(first), 10: policies(0.28)}, data, streams(1))
        assert bool(found.returns.plain[1] > found.returns.plain[0])
        assert bool(found.returns.cautious[1] > found.returns.cautious[0])
        assert 0.2 <= float(found.returns.unknown[1]) <= 0.4
        assert found.position.tolist() == [position]


def test_a_task_with_longer_episodes_changes_no_other() -> None:
    made = [make_dataset([n] * 3, [False] * 3, 3, 2, seed=n) for n in (4, 9)]
    data, models = stack_tasks(made, SPEC), {"theta": torch.tensor([0.1, 0.2])}
    together = model_returns(MODEL, models, policies(0.3, 0.3), data, streams(2)).plain
    for t in range(2):
        own = {key: value[t : t + 1] for key, value in models.items()}
        alone = model_returns(MODEL, own, policies(0.3), data.select([t]), streams(1)).plain
        torch.testing.assert_close(together[t], alone[0])
