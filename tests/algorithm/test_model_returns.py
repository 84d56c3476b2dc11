"""merpo.algorithm.model_returns: rollouts of whole episodes against a plain loop."""

from __future__ import annotations

from itertools import pairwise

import torch
from small import SPEC, streams, task_data
from strategies import make_dataset
from walking import HORIZON, MODEL, policies

from merpo.algorithm.halting import THRESHOLD
from merpo.algorithm.model_returns import STARTS, model_returns
from merpo.data.dataset import stack_tasks
from merpo.nn.policy import act


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


def test_a_task_with_longer_episodes_changes_no_other() -> None:
    made = [make_dataset([n] * 3, [False] * 3, 3, 2, seed=n) for n in (4, 9)]
    data, models = stack_tasks(made, SPEC), {"theta": torch.tensor([0.1, 0.2])}
    together = model_returns(MODEL, models, policies(0.3, 0.3), data, streams(2)).plain
    for t in range(2):
        own = {key: value[t : t + 1] for key, value in models.items()}
        alone = model_returns(MODEL, own, policies(0.3), data.select([t]), streams(1)).plain
        torch.testing.assert_close(together[t], alone[0])


def test_drawn_actions_are_those_of_the_policy() -> None:
    data, models, policy = task_data(2), {"theta": torch.tensor([0.1, 0.2])}, policies(0.3, -0.2)
    found = model_returns(MODEL, models, policy, data, streams(2), drawn=True).plain
    noise, expected = streams(2), torch.zeros(2, STARTS)
    observations = torch.zeros(2, STARTS, SPEC.observation_dim)  # the actions do not depend on them, and none ends
    for _ in range(HORIZON):
        expected += models["theta"][:, None] * act(policy, observations, noise.normal(STARTS, SPEC.action_dim))[..., 0]
    torch.testing.assert_close(found, expected)
