"""λ in units of the spread of Q: oracles of `q_spread` and `action_values`, and the whole method without units."""

from __future__ import annotations

from typing import Any

import torch
from rac_inputs import T, anchors, models, start
from small import METHOD, critic, make, normal, rac, streams, task_data

from merpo.algorithm.rac import action_values, q_spread, rac_step
from merpo.components.context import Context
from merpo.components.task_data import TaskData
from merpo.nn.params import stack
from merpo.nn.policy import TanhGaussian


def test_action_values_have_the_gradient_of_the_critic() -> None:
    component = critic()
    params = stack([component.init(task_data(1).spec, torch.Generator().manual_seed(t)) for t in range(T)])
    observations, leaf = normal(T, 6, 3, dtype=torch.float32), normal(T, 6, 2, dtype=torch.float32)
    one, two = leaf.clone().requires_grad_(), leaf.clone().requires_grad_()
    values, slopes = action_values(component, params, observations, one.tanh())
    plain = component.value(params, observations, two.tanh()).amin(1)
    torch.testing.assert_close(values, plain)
    weights = normal(T, 6, dtype=torch.float32, label=1)
    (values * weights).sum().backward()
    (plain * weights).sum().backward()
    torch.testing.assert_close(one.grad, two.grad)
    actions = leaf.tanh().detach().requires_grad_()
    component.value(params, observations, actions).amin(1).sum().backward()
    torch.testing.assert_close(slopes, actions.grad)


def test_the_spread_is_that_of_a_linear_q_over_small_behaviour_noise() -> None:
    """Q(s, a) = g · a: its standard deviation over the behaviour policy's actions, by sampling."""
    slope = torch.tensor([2.0, -0.5]).expand(1, 3, 2)
    behavior = TanhGaussian(torch.full((1, 3, 2), 0.4), torch.full((1, 3, 2), -3.0))
    noise = torch.randn(20000, 1, 3, 2, generator=torch.Generator().manual_seed(0))
    drawn = (behavior.mean + behavior.log_std.exp() * noise).tanh()
    expected = (drawn * slope).sum(-1).std(0).mean()
    torch.testing.assert_close(q_spread(slope, behavior)[0], expected, rtol=0.02, atol=0.0)


def test_the_weight_of_the_divergences_is_lambda_times_the_spread() -> None:
    """With the spread of this step as an absolute λ, the loss is the same."""
    relative = rac(lambda_relative=True, lambda_tune=False, lambda_initial=0.7)
    found = rac_step(relative, start(relative), task_data(T), models(relative), anchors(), streams(T))[2]
    for t in range(T):
        absolute = rac(lambda_tune=False, lambda_initial=0.7 * float(found["q_spread"][t]), lambda_relative=False)
        same = rac_step(absolute, start(absolute), task_data(T), models(absolute), anchors(), streams(T))[2]
        torch.testing.assert_close(found["policy_loss"][t], same["policy_loss"][t])


def adapted(data: TaskData) -> tuple[Any, Any]:
    """The meta-artifact and the adapted policies of MerPO with its defaults in units of the data, networks small."""
    free = {"policy_hidden": (8,), "batch_size": 8, "rollout_batch": 4, "model_buffer": 16}
    method = make("method", "merpo", **{**METHOD, "rac": free})
    meta = method.fit(data, Context())
    return meta, method.adapt(meta, data, Context())


def test_merpo_does_not_depend_on_the_units_of_rewards() -> None:
    """Rewards times 1024 and a quarter: the same policies, and values in the new units."""
    data = task_data(2)
    meta, plain = adapted(data)
    for factor in (1024.0, 0.25):
        rows = data.rows.clone()
        rows[:, 5] *= factor
        other, scaled = adapted(data._replace(rows=rows))
        torch.testing.assert_close(other["scales"]["reward_scale"] * factor, meta["scales"]["reward_scale"])
        for key, value in plain.policy.items():
            torch.testing.assert_close(value, scaled.policy[key], rtol=1e-3, atol=1e-5)
        method = make("method", "merpo", **METHOD)
        rows_ = data.first(5)
        ours, theirs = (method.value(one, rows_.observations, rows_.actions) for one in (plain, scaled))
        torch.testing.assert_close(factor * ours, theirs, rtol=1e-3, atol=1e-4 * factor)
