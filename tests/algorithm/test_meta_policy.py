"""merpo.algorithm.meta_policy: Eq. (10), meta-Q, and the loop of Algorithm 2's lines 9 to 18."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import gaussian_kl, mean, outer_step
from small import SPEC, critic, double, generator, make, normal, rac, streams, task_data
from strategies import SEEDS

from merpo.algorithm.duals import init_duals
from merpo.algorithm.meta_model import init_meta_model
from merpo.algorithm.meta_policy import (
    PERSISTENT,
    MetaPolicy,
    fit_meta_policy,
    init_meta_policy,
    meta_loss,
    meta_q_step_,
    task_states,
)
from merpo.algorithm.rac import Anchors, fresh_state, rac_step
from merpo.algorithm.rollout import empty_buffer
from merpo.algorithm.settings import MetaPolicySettings
from merpo.components.context import Context
from merpo.errors import TrainingError
from merpo.nn.optim import adam, adam_init, gradient
from merpo.nn.params import clone, expand, stack
from merpo.nn.policy import distribution, init_policy
from merpo.types import Params

T, B = 2, 3


def policy(*labels: object) -> Params:
    return double(init_policy(SPEC, (4,), generator(*labels)))


@settings(max_examples=15)
@given(seed=SEEDS, lambda_=st.floats(0, 50), alpha=st.floats(0, 1))
def test_equation_10_moves_the_meta_policy_only_through_the_divergence(seed: int, lambda_: float, alpha: float) -> None:
    """The objective as printed, with a Q that depends on π_n: its gradient in π_c is that of our loss, negated."""
    meta, tasks = policy(seed), stack([policy(seed, t) for t in range(T)])
    states, actions = normal(T, B, 3, label=seed), normal(T, B, 2, label=seed + 1).tanh()
    weight = torch.full((T,), lambda_ * (1 - alpha), dtype=torch.float64)
    loss, grads = gradient(lambda p: meta_loss(make("regularizer", "kl"), p, tasks, states, weight, streams(T)), meta)
    ours = distribution(tasks, states)

    def printed(p: Params) -> torch.Tensor:
        value = ours.mean.tanh().sum(-1).mean(-1)
        likelihood = ours.log_prob(actions).mean(-1)
        theirs = distribution(p, states)
        normals = [torch.distributions.Normal(d.mean, d.log_std.exp()) for d in (ours, theirs)]
        kl = torch.distributions.kl_divergence(*normals).sum(-1).mean(-1)
        return value + lambda_ * alpha * likelihood - lambda_ * (1 - alpha) * kl

    _, expected = gradient(printed, meta)
    for key, grad in grads.items():
        torch.testing.assert_close(grad, -expected[key], rtol=1e-6, atol=1e-8)
    theirs = distribution(meta, states)
    for t in range(T):
        kls = [gaussian_kl(*(x[t, b].tolist() for x in (*ours, *theirs))) for b in range(B)]
        assert float(loss[t]) == pytest.approx(lambda_ * (1 - alpha) * mean(kls), rel=1e-9, abs=1e-12)


def test_task_policies_get_no_gradient_from_equation_10() -> None:
    tasks = {key: value.requires_grad_(True) for key, value in stack([policy(t) for t in range(T)]).items()}
    loss = meta_loss(make("regularizer", "kl"), policy(9), tasks, normal(T, B, 3), torch.ones(T), streams(T))
    assert not loss.requires_grad


@settings(max_examples=15)
@given(seed=SEEDS, rate=st.floats(0, 1))
def test_the_meta_q_step_is_the_printed_one(seed: int, rate: float) -> None:
    meta, critics = {"w0": normal(2, 3, label=seed)}, {"w0": normal(T, 2, 3, label=seed + 1)}
    found = clone(meta)
    meta_q_step_(found, critics, rate)
    for c in range(2):
        for i in range(3):
            expected = outer_step(float(meta["w0"][c, i]), critics["w0"][:, c, i].tolist(), rate)
            assert float(found["w0"][c, i]) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def ingredients(tasks: int = 3, use_model: bool = True) -> tuple[Any, ...]:
    algorithm, data = rac(use_model), task_data(tasks)
    behavior = expand(init_policy(SPEC, (8,), generator("beta")), tasks)
    if not use_model:
        return algorithm, data, None, behavior
    theta = expand(init_meta_model(algorithm.dynamics, data, generator("phi")), tasks)
    return algorithm, data, algorithm.dynamics.keep_best(theta, torch.zeros(tasks, 3)), behavior


def fit(context: Context, tasks: int = 3, use_model: bool = True, **knobs: Any) -> MetaPolicy:
    algorithm, data, models, behavior = ingredients(tasks, use_model)
    settings_ = MetaPolicySettings(**{"iterations": 3, "inner_steps": 2, "task_batch": 2, **knobs})
    return fit_meta_policy(algorithm, make("alpha", "adaptive"), data, models, behavior, settings_, context)


@pytest.mark.parametrize("task_networks", ["persistent", "critic-from-meta", "from-meta"])
@pytest.mark.parametrize("use_model", [True, False])
def test_every_parameter_moves(task_networks: str, use_model: bool) -> None:
    context = Context(seed=4)
    algorithm, data, _, _ = ingredients()
    first = init_meta_policy(algorithm, 0.4, data, context)
    meta = fit(context, use_model=use_model, task_networks=task_networks, iterations=4)
    for name in ("policy", "critic"):
        for key, value in getattr(meta, name).items():
            assert not torch.equal(value, getattr(first, name)[key]), (name, key)
            assert bool(value.isfinite().all())
            assert not value.requires_grad
    assert all(value.dim() == 0 and bool(value.isfinite()) for value in meta.duals.values())


def test_a_task_whose_numbers_are_none_is_named() -> None:
    """By its own number, though the batch is drawn in another order, and even where nobody logs."""
    algorithm, data, models, behavior = ingredients(4)
    rows = data.rows.clone()
    rows[data.starts[2] : data.starts[2] + data.sizes[2], 5] = torch.nan  # the rewards of task 2
    knobs = MetaPolicySettings(iterations=30, inner_steps=1, task_batch=2)
    with pytest.raises(TrainingError, match=r"stage 'meta-policy', step \d+: metric '\w+' of task 2 \(of 2 reported\)"):
        fit_meta_policy(
            algorithm, make("alpha", "fixed"), data._replace(rows=rows), models, behavior, knobs, Context(log_every=1)
        )


def test_one_iteration_is_lines_10_to_17() -> None:
    """RAC steps on the drawn tasks, one Adam step on the mean of Eq. (10), one meta-Q step: by hand."""
    logged: list[Any] = []
    context = Context(seed=5, log=lambda stage, step, total, metrics: logged.append(metrics))
    algorithm, data, models, behavior = ingredients(2)
    meta = fit(context, tasks=2, iterations=1, outer_lr=0.01, meta_q_lr=0.3)
    first = init_meta_policy(algorithm, 0.4, data, context)
    chooser, noise = context.generator("meta-policy"), context.streams("meta-policy", 2)
    index = torch.randperm(2, generator=chooser)
    buffer = empty_buffer(SPEC, 2, algorithm.settings.model_buffer, "cpu")
    state = fresh_state(
        expand(first.policy, 2), expand(first.critic, 2), init_duals(algorithm.settings, 0.4, 2, "cpu"), buffer
    )  # fmt: skip
    picked = {key: value[index] for key, value in models.items()}
    anchors = Anchors({key: value[index] for key, value in behavior.items()}, first.policy)
    streams_ = noise.select(index)
    for _ in range(2):
        state, states, _ = rac_step(algorithm, state, data.select(index.tolist()), picked, anchors, streams_)
    weight = state.duals.lambda_ * (1 - state.duals.alpha)
    loss, grads = gradient(
        lambda p: meta_loss(algorithm.regularizer, p, state.policy, states, weight, streams_).mean(), first.policy
    )  # fmt: skip
    torch.testing.assert_close(torch.as_tensor(logged[-1]["meta_loss"]), loss)  # Adam's first step hides its scale
    moved, _ = adam(first.policy, grads, adam_init(first.policy, 0), 0.01)
    for key, value in meta.policy.items():
        torch.testing.assert_close(value, moved[key])
    for key, value in meta.critic.items():
        torch.testing.assert_close(value, first.critic[key] - 0.3 * (first.critic[key] - state.critic[key].mean(0)))


def test_from_meta_and_persistent_begin_a_turn_differently() -> None:
    algorithm, data, _, _ = ingredients()
    context = Context()
    meta = init_meta_policy(algorithm, 0.4, data, context)

    state = fresh_state(
        expand(policy("own"), T), expand(double(critic().init(SPEC, generator("own"))), T),
        init_duals(algorithm.settings, 0.2, T, "cpu"), empty_buffer(SPEC, T, 4, "cpu"),
    )  # fmt: skip
    state = state._replace(policy_opt=state.policy_opt._replace(t=torch.full((T,), 7.0)))
    kept = {keep: {part: getattr(state, part) for part in parts} for keep, parts in PERSISTENT.items()}
    whole, critics = (task_states(kept[keep], meta, T) for keep in ("from-meta", "critic-from-meta"))
    assert all(a is b for a, b in zip(task_states(kept["persistent"], meta, T), state, strict=True))
    for t in range(T):
        for key, value in meta.policy.items():
            assert torch.equal(whole.policy[key][t], value)
        for key, value in meta.critic.items():
            for one in (whole, critics):
                assert torch.equal(one.critic[key][t], value)
                assert torch.equal(one.target[key][t], value)
    assert critics.policy is state.policy
    assert critics.policy_opt is state.policy_opt
    assert torch.equal(whole.policy_opt.t, torch.zeros(T))
    assert whole.duals is critics.duals is state.duals
    assert whole.buffer is state.buffer
    one, two = (fit(Context(seed=1), task_networks=name, iterations=4) for name in ("persistent", "from-meta"))
    assert not torch.equal(one.critic["w0"], two.critic["w0"])


def test_checkpoints_are_given_at_equal_distances() -> None:
    seen: list[tuple[int, dict[str, Params]]] = []
    meta = fit(Context(evaluations=2, evaluate_meta=lambda k, groups: seen.append((k, groups))), iterations=4)
    assert [k for k, _ in seen] == [2, 4]
    assert torch.equal(seen[-1][1]["meta_policy"]["w0"], meta.policy["w0"])
    assert not torch.equal(seen[0][1]["meta_policy"]["w0"], meta.policy["w0"])


def test_groups_round_trip() -> None:
    meta = fit(Context(), iterations=1)
    again = MetaPolicy.from_groups(meta.groups())
    assert all(a is b for a, b in zip(again, meta, strict=True))
    assert sorted(meta.groups()) == ["duals", "meta_policy", "meta_q"]


def test_no_iteration_leaves_the_meta_policy_untrained() -> None:
    algorithm, data, _, _ = ingredients()
    first = init_meta_policy(algorithm, 0.4, data, Context())
    meta = fit(Context(), iterations=0)
    assert all(torch.equal(value, first.policy[key]) for key, value in meta.policy.items())
