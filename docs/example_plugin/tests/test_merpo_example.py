"""Conformance of every component, the intended effect of each, and a run with each through the command line."""

from __future__ import annotations

import json

import pytest
import torch
from merpo_example import Halving, Jeffreys, ReptileAWR

import merpo
from merpo.testing import check_component

SMALL = {"hidden": [8, 8], "iterations": 3, "inner_steps": 2, "steps": 4, "batch_size": 16}


@pytest.mark.parametrize(("component", "fields"), [(Halving, {}), (Jeffreys, {}), (ReptileAWR, SMALL)])
def test_conformance(component, fields):
    check_component(component, **fields)


def test_halving_converges_to_its_goal():
    alpha, zero = torch.tensor([0.4, 0.0]), torch.zeros(2)
    for _ in range(30):
        alpha = Halving(goal=0.2).update(alpha, zero, zero)
    assert torch.allclose(alpha, torch.full((2,), 0.2))


def test_jeffreys_is_symmetric_at_one_half_and_equals_the_integral():
    p = merpo.TanhGaussian(torch.tensor([[[0.3]]]), torch.tensor([[[-0.2]]]))
    q = merpo.TanhGaussian(torch.tensor([[[-0.5]]]), torch.tensor([[[0.4]]]))
    even = Jeffreys()
    assert torch.allclose(even.to_meta(p, q, None), even.to_meta(q, p, None))
    actions = torch.linspace(-1, 1, 200_003, dtype=torch.float64)[1:-1].view(1, -1, 1)
    log_p, log_q = p.log_prob(actions), q.log_prob(actions)
    integral = ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum() * (2 / 200_002) / 2
    assert float(even.to_meta(p, q, None)) == pytest.approx(float(integral), rel=1e-3)


def test_reptile_awr_clones_the_better_of_two_actions(tiny_tasks):
    """In tasks rewarded for pushes to the middle, the policy must push there more than the data's random actions."""
    method = ReptileAWR(
        hidden=(16,), iterations=40, inner_steps=5, steps=60, batch_size=60, learning_rate=0.01, temperature=0.1
    )
    context = merpo.Context(seed=0)
    adapted = method.adapt(method.fit(tiny_tasks, context), tiny_tasks, context)
    rows = tiny_tasks.first(60)
    towards_the_middle = -rows.observations[..., :2]
    actions = method.act(adapted.policy, rows.observations)

    def gain(taken):
        return (taken * towards_the_middle).sum(-1).mean()

    assert gain(actions) > gain(rows.actions) + 0.1


@pytest.mark.parametrize(
    "method",
    [{"alpha": "halving"}, {"regularizer": "jeffreys"}, {"component": "reptile-awr", **SMALL}],
    ids=["halving", "jeffreys", "reptile-awr"],
)
def test_a_run(merpo_runner, method):
    recipe = merpo_runner.recipe({"requires": ["merpo-example"], "method": method, "evaluate": {"snapshots": [0, 2]}})
    answer = merpo_runner("run", recipe, "--out", "run")
    assert answer.code == 0, answer.err
    manifest = json.loads((merpo_runner.folder / "run" / "manifest.json").read_text())
    assert manifest["versions"]["merpo-example"] == "0.1.0"
    report = json.loads((merpo_runner.folder / "run" / "report.json").read_text())
    assert len(report["tasks"]) == 2
