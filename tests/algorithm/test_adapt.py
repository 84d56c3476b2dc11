"""merpo.algorithm.adapt: what an unseen task starts from, and what its steps move."""

from __future__ import annotations

import pytest
import torch
from adapting import T, adapt, meta
from small import make

from merpo.algorithm.adapt import ALPHA_EVERY
from merpo.components.context import Context


@pytest.mark.parametrize("init_policy_", [True, False])
@pytest.mark.parametrize("init_critic", [True, False])
def test_networks_start_from_the_meta_networks_or_anew(init_policy_: bool, init_critic: bool) -> None:
    state = adapt(steps=0, init_policy=init_policy_, init_critic=init_critic).state
    for key, value in meta().policy.items():
        assert torch.equal(state.policy[key], value.expand_as(state.policy[key])) == init_policy_
    for key, value in meta().critic.items():
        assert torch.equal(state.critic[key], value.expand_as(state.critic[key])) == init_critic
        assert torch.equal(state.target[key], state.critic[key])


def test_duals_start_from_the_training_tasks() -> None:
    duals = adapt(steps=0).state.duals
    assert duals.alpha.tolist() == pytest.approx([0.3] * T)
    assert duals.lambda_.tolist() == [2.0] * T
    assert duals.log_beta.tolist() == [0.5] * T
    assert duals.log_temperature.tolist() == [-1.0] * T


def test_every_parameter_of_every_task_moves() -> None:
    first, last = adapt(steps=0).state, adapt(steps=4).state
    for name in ("policy", "critic", "target"):
        for key, value in getattr(last, name).items():
            assert bool((value != getattr(first, name)[key]).flatten(1).any(1).all()), (name, key)
            assert bool(value.isfinite().all())


def test_snapshots_are_copies_on_the_way() -> None:
    adapted = adapt(Context(seed=1, snapshots=(0, 2)), steps=4)
    assert sorted(adapted.snapshots) == [0, 2, 4]
    for key, value in meta().policy.items():
        assert torch.equal(adapted.snapshots[0][key][1], value)
        assert torch.equal(adapted.snapshots[2][key], adapt(steps=2).state.policy[key])
        assert torch.equal(adapted.snapshots[4][key], adapted.state.policy[key])


def test_the_first_steps_may_be_the_critics_alone() -> None:
    adapted = adapt(Context(seed=1, snapshots=(3,)), steps=4, critic_lead=3)
    for key, value in meta().policy.items():
        assert torch.equal(adapted.snapshots[3][key][0], value)
        assert not torch.equal(adapted.state.policy[key][0], value)
    assert not torch.equal(adapted.state.critic["w0"], adapt(steps=0).state.critic["w0"])


def test_rates_may_differ_from_meta_training() -> None:
    still = adapt(critic_lr=0.0, actor_lr=0.0).state
    assert all(torch.equal(value[0], meta().policy[key]) for key, value in still.policy.items())
    assert all(torch.equal(value[0], meta().critic[key]) for key, value in still.critic.items())
    slow, fast = (adapt(actor_lr=lr).state.policy["w0"] - meta().policy["w0"] for lr in (1e-4, 1e-2))
    assert float(slow.abs().mean()) < 0.1 * float(fast.abs().mean())


def test_alpha_adapts_every_so_many_steps_within_its_bounds() -> None:
    curves = adapt(steps=2 * ALPHA_EVERY).curves
    alpha = curves["alpha"]
    assert alpha.shape == (2 * ALPHA_EVERY, T)
    assert len(alpha[:, 0].unique()) == 2  # the metrics of the last step are from before its update
    assert bool(((alpha >= 0.1) & (alpha <= 0.5)).all())
    fixed = adapt(steps=2 * ALPHA_EVERY, alpha=make("alpha", "fixed")).curves["alpha"]
    assert len(fixed.unique()) == 1
    assert {"beta", "lambda_", "q_gap", "to_behavior", "to_meta"} <= set(curves)


def test_what_has_taken_no_step_is_no_candidate() -> None:
    """It would stand in the meta-policy's place, also where the policy does not start from it."""
    assert adapt(steps=0, candidates=4, init_policy=False).candidates == {}
    assert sorted(adapt(steps=2, candidates=4).candidates) == [1, 2]
