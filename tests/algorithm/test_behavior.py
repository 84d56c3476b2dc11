"""merpo.algorithm.behavior: clones that find a known policy, each from its own rows."""

from __future__ import annotations

import torch
from small import task_data

from merpo.algorithm.behavior import fit_behavior
from merpo.algorithm.settings import BehaviorSettings
from merpo.components.context import Context
from merpo.nn.policy import distribution

SETTINGS = BehaviorSettings(hidden=(16,), steps=300, batch_size=64, learning_rate=0.02, patience=0)


def test_the_clone_finds_each_tasks_policy() -> None:
    """Actions tanh(±0.8 + 0.3 ε): the clone's mean and spread come near, with the sign of its own task."""
    data = task_data(2, rows=400)
    rows = data.rows.clone()
    for t, sign in enumerate((1.0, -1.0)):
        own = slice(data.starts[t], data.starts[t] + data.sizes[t])
        noise = torch.randn(400, 2, generator=torch.Generator().manual_seed(t))
        rows[own, 3:5] = (sign * 0.8 + 0.3 * noise).tanh()
    params = fit_behavior(data._replace(rows=rows), SETTINGS, Context(), "behavior").policy
    found = distribution(params, data.first(50).observations)
    means, stds = found.mean.mean((1, 2)), found.log_std.exp().mean((1, 2))
    torch.testing.assert_close(means, torch.tensor([0.8, -0.8]), atol=0.1, rtol=0)
    torch.testing.assert_close(stds, torch.tensor([0.3, 0.3]), atol=0.06, rtol=0)


def test_a_clone_depends_on_its_own_rows_alone() -> None:
    data = task_data(2)
    few = SETTINGS.model_copy(update={"steps": 5})
    together = fit_behavior(data, few, Context(labels=("a", "b")), "behavior").policy
    alone = fit_behavior(data.select([1]), few, Context(labels=("b",)), "behavior").policy
    for key, value in together.items():
        torch.testing.assert_close(value[1:], alone[key], rtol=1e-4, atol=1e-6)
        assert not torch.equal(value[0], value[1])
