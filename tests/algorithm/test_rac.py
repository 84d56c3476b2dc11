"""merpo.algorithm.rac: Eq. (7) and Eq. (9) against a loop, and what one step of Algorithm 1 uses and moves."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from oracles import gaussian_kl, regularized_objective, tanh_gaussian_log_density
from rac_inputs import T, anchors, models, start
from small import SPEC, normal, rac, streams, task_data
from strategies import SEEDS

from merpo.algorithm.rac import RAC, TaskState, evaluate_policy, gather_batches, improvement_loss, rac_step
from merpo.components.task_data import from_rows
from merpo.nn.optim import gradient
from merpo.nn.packed import Packed
from merpo.nn.params import tree_map
from merpo.nn.policy import TanhGaussian, distribution
from merpo.testing.laws import named_leaves
from merpo.types import Params


def step(algorithm: RAC, state: TaskState, seed: int = 0, **options: Any) -> Any:
    picked = models(algorithm) if algorithm.dynamics else None
    return rac_step(algorithm, state, task_data(T), picked, anchors(), streams(T, "rac", seed), **options)


@settings(max_examples=20)
@given(seed=SEEDS, lambda_=st.floats(0, 100), alpha=st.floats(0, 1))
@example(seed=100000, lambda_=89.0, alpha=1 / 3)  # in single precision large terms cancel to 4e-6
def test_equations_7_and_9_are_the_same_problem(seed: int, lambda_: float, alpha: float) -> None:
    """Our loss is minus Eq. (9), but for the constant λ α E_D[log π̂_β]; its gradient in π_n is exactly Eq. (9)'s."""
    ours, clone, meta = (
        TanhGaussian(
            normal(1, 3, 2, label=(seed, k)).double(), -0.5 + 0.2 * normal(1, 3, 2, label=(seed, k, 1)).double()
        )
        for k in range(3)
    )
    actions, slopes = normal(1, 3, 2, label=seed).double().tanh(), normal(3, label=(seed, "q")).double()
    regularizer = rac().regularizer

    def values(p: TanhGaussian) -> torch.Tensor:
        return (slopes * p.mean.tanh().sum(-1)).mean(-1)

    def weight(value: float) -> torch.Tensor:
        return torch.tensor([value], dtype=torch.float64)

    def loss(p: Params) -> torch.Tensor:
        policy = TanhGaussian(**p)
        near = (
            regularizer.to_behavior(policy, clone, actions, streams(1)),
            regularizer.to_meta(policy, meta, streams(1)),
        )
        return improvement_loss(values(policy), weight(lambda_), weight(alpha), *near)

    def printed(p: Params) -> torch.Tensor:
        policy = TanhGaussian(**p)
        kl = torch.distributions.kl_divergence(
            torch.distributions.Normal(policy.mean, policy.log_std.exp()),
            torch.distributions.Normal(meta.mean, meta.log_std.exp()),
        ).sum(-1)
        likelihood = policy.log_prob(actions).mean(-1)
        return -(values(policy) + lambda_ * alpha * likelihood - lambda_ * (1 - alpha) * kl.mean(-1))

    found, grads = gradient(loss, ours._asdict())
    _, expected = gradient(printed, ours._asdict())
    for key, grad in grads.items():
        torch.testing.assert_close(grad, expected[key], rtol=1e-9, atol=1e-10)
    rows = range(3)
    slow = regularized_objective(
        [float(slopes[b]) * sum(ours.mean[0, b].tanh().tolist()) for b in rows],
        [tanh_gaussian_log_density(*(x[0, b].tolist() for x in (actions, *ours))) for b in rows],
        [gaussian_kl(*(x[0, b].tolist() for x in (*ours, *meta))) for b in rows],
        lambda_, alpha,
    )  # fmt: skip
    constant = lambda_ * alpha * sum(
        tanh_gaussian_log_density(*(x[0, b].tolist() for x in (actions, *clone))) for b in rows
    ) / 3  # fmt: skip
    assert float(found) == pytest.approx(-slow + constant, rel=1e-5, abs=1e-4)


def test_alpha_zero_is_equation_6_and_lambda_zero_is_equation_2() -> None:
    values, one = torch.tensor([3.0, 4.0]), torch.ones(2)
    far = torch.tensor([1e9, 1e9])
    without_behaviour = improvement_loss(values, 2 * one, 0 * one, far, 5 * one)
    torch.testing.assert_close(without_behaviour, -(values - 2 * 5))
    torch.testing.assert_close(improvement_loss(values, 2 * one, one, 5 * one, far), -(values - 2 * 5))
    torch.testing.assert_close(improvement_loss(values, 0 * one, 0.4 * one, far, far), -values)


@pytest.mark.parametrize("use_model", [True, False])
@pytest.mark.parametrize("regularizer", ["kl", "tv"])
def test_every_parameter_of_every_task_moves(use_model: bool, regularizer: str) -> None:
    algorithm = rac(use_model, regularizer)
    first = state = start(algorithm)
    first = tree_map(torch.clone, first)
    for i in range(3):
        state, states, metrics = step(algorithm, state, i)
    for before, after in ((first.policy, state.policy), (first.critic, state.critic), (first.target, state.target)):
        for key, value in after.items():
            moved = (value != before[key]).flatten(1).any(1)
            assert bool(moved.all()), key
            assert bool(value.isfinite().all()), key
    for name in ("log_beta", "lambda_", "log_temperature"):
        assert bool((getattr(state.duals, name) != getattr(first.duals, name)).all()), name
    assert states.shape[0] == T
    assert all(value.shape[0] == T and bool(value.isfinite().all()) for value in metrics.values())


def test_targets_follow_the_critics_by_polyak() -> None:
    algorithm = rac(polyak=0.1)
    state = start(algorithm)
    old = tree_map(torch.clone, state.target)
    new, _, _ = step(algorithm, state)
    for key, value in new.target.items():
        torch.testing.assert_close(value, old[key] + 0.1 * (new.critic[key] - old[key]))


def test_without_improvement_only_the_critic_moves() -> None:
    state = start(algorithm := rac())
    new, _, metrics = step(algorithm, tree_map(torch.clone, state), improve=False)
    assert all(torch.equal(value, state.policy[key]) for key, value in new.policy.items())
    assert torch.equal(new.duals.lambda_, state.duals.lambda_)
    assert not torch.equal(new.critic["w0"], state.critic["w0"])
    assert "to_meta" not in metrics


@pytest.mark.parametrize(
    ("ratio", "size", "n_real"), [(0.5, 8, 4), (0.25, 8, 2), (0.001, 8, 1), (1.0, 8, 7), (0.99, 8, 7)]
)
def test_batches_mix_data_and_model_in_the_given_ratio(ratio: float, size: int, n_real: int) -> None:
    """Whatever the ratio, at least one row of each: Eq. (1) compares the two."""
    algorithm = rac(real_ratio=ratio, batch_size=size)
    _, real, rho = gather_batches(algorithm, start(algorithm), task_data(T), models(algorithm), streams(T))
    assert (real.rewards.shape[1], rho.rewards.shape[1]) == (n_real, size - n_real)


def test_real_rows_are_the_datas_and_rho_rows_are_the_models() -> None:
    algorithm, data = rac(), task_data(T)
    state, real, rho = gather_batches(algorithm, start(algorithm), data, models(algorithm), streams(T))
    for t in range(T):
        mine = {tuple(row[:3].tolist()) for row in data.rows[data.starts[t] : data.starts[t] + data.sizes[t]]}
        rolled = {tuple(row.tolist()) for row in from_rows(state.buffer.rows[t], SPEC).next_observations}
        assert all(tuple(row.tolist()) in mine for row in real.observations[t])
        assert all(tuple(row.tolist()) in rolled for row in rho.next_observations[t])


def test_rewards_are_scaled_once() -> None:
    plain, scaled = rac(reward_scale=1.0), rac(reward_scale=7.0)
    for a, b in zip(
        gather_batches(plain, start(plain), task_data(T), models(plain), streams(T))[1:],
        gather_batches(scaled, start(scaled), task_data(T), models(scaled), streams(T))[1:],
        strict=True,
    ):
        torch.testing.assert_close(7.0 * a.rewards, b.rewards)
        assert torch.equal(a.observations, b.observations)


def test_without_a_model_rho_is_the_policy_at_the_datas_states() -> None:
    algorithm = rac(use_model=False)
    state = start(algorithm)
    same, real, rho = gather_batches(algorithm, state, task_data(T), None, streams(T))
    assert rho is real
    assert real.rewards.shape == (T, 8)
    assert same is state


def test_time_outs_bootstrap_and_terminations_do_not() -> None:
    """Next states matter to the critic's step where an episode was cut by time, and only there."""
    algorithm = rac(use_model=False, beta_initial=0.0)
    state, data = start(algorithm), task_data(T)

    def critic_after(terminated: float, shift: float) -> Params:
        batch = data.sample(streams(T, "rows"), 8)
        batch = batch._replace(
            terminations=torch.full_like(batch.rewards, terminated), next_observations=batch.next_observations + shift
        )
        first = tree_map(torch.clone, state)
        on_rho = distribution(first.policy, batch.observations)
        return evaluate_policy(algorithm, first, batch, batch, on_rho, streams(T, "noise"))[0].critic

    def same(a: Params, b: Params) -> bool:
        return all(torch.equal(a[key], b[key]) for key in a)

    assert same(critic_after(1.0, 0.0), critic_after(1.0, 3.0))
    assert not same(critic_after(0.0, 0.0), critic_after(0.0, 3.0))


def test_a_large_beta_lowers_q_at_rho_below_q_at_the_data() -> None:
    """The policy is moved to one corner of the action box, where the data is thin."""

    def gap_after(beta: float) -> float:
        algorithm = rac(beta_initial=beta, beta_tune=False, critic_lr=0.01, batch_size=64, rollout_batch=32)
        state = start(algorithm)
        state.policy["b1"][:, :2] += 2.0
        for i in range(60):
            state, _, metrics = step(algorithm, state, i, improve=False)
        return float(metrics["q_gap"].mean())

    assert gap_after(20.0) < gap_after(1e-6) - 1.0


def test_a_large_lambda_holds_the_policy_at_its_anchor() -> None:
    """α = 0 draws to the meta-policy, α = 1 to the behaviour clone (at the data's actions)."""
    algorithm = rac(lambda_initial=1e4, lambda_tune=False, actor_lr=0.02, max_entropy=False)
    fixed = anchors()
    data = task_data(T)
    observations = data.first(20).observations
    before = start(algorithm)
    state = tree_map(torch.clone, before._replace(duals=before.duals._replace(alpha=torch.zeros(T))))
    for i in range(60):
        state, _, _ = step(algorithm, state, i)
    meta = distribution(fixed.meta, observations)
    distance = lambda p: float((distribution(p, observations).mean - meta.mean).square().mean())  # noqa: E731
    assert distance(state.policy) < 0.2 * distance(before.policy)


def test_without_anchors_the_step_is_sacs() -> None:
    """The policy's gradient is that of −(min Q − temperature log π), and no divergence is measured."""
    algorithm = rac(use_model=False, beta_initial=0.0)
    state, data = start(algorithm), task_data(T)
    new, _, metrics = rac_step(algorithm, tree_map(torch.clone, state), data, None, None, streams(T, "sac"))
    assert "to_meta" not in metrics
    noise = streams(T, "sac")
    data.sample(noise, 8)
    noise.normal(8, 2)  # the backup's
    batch_noise = noise.normal(8, 2)
    batch = data.sample(streams(T, "sac"), 8)

    def loss(p: Params) -> torch.Tensor:
        actions, log_probs = distribution(p, batch.observations).sample(batch_noise)
        q = algorithm.critic.value(new.critic, batch.observations, actions).amin(1)
        return -(q - algorithm.settings.temperature_initial * log_probs).mean(-1)

    _, grads = gradient(loss, state.policy)
    for key, grad in grads.items():
        torch.testing.assert_close(new.policy_opt.m[key], 0.1 * grad, rtol=1e-4, atol=1e-7)


def test_what_is_not_the_state_is_left_as_it_is() -> None:
    algorithm, data, fixed = rac(), task_data(T), anchors()
    given = (data.rows, models(algorithm), fixed)
    copy = tree_map(torch.clone, given)
    rac_step(algorithm, start(algorithm), data, given[1], fixed, streams(T, "rac"))
    for (path, one), (_, two) in zip(named_leaves(copy), named_leaves(given), strict=True):
        assert torch.equal(one, two), path


def to_double(leaf: torch.Tensor) -> torch.Tensor:
    return leaf.double() if leaf.is_floating_point() else leaf


def unpacked(tree: Any) -> Any:
    """A state whose networks are plain dicts."""
    if isinstance(tree, Packed):
        return dict(tree)
    return type(tree)(*map(unpacked, tree)) if isinstance(tree, tuple) else tree


@settings(max_examples=10)
@given(seed=SEEDS, use_model=st.booleans(), regularizer=st.sampled_from(["kl", "tv"]))
def test_blocks_are_the_same_algorithm_as_ordinary_weights(seed: int, use_model: bool, regularizer: str) -> None:
    """The state's networks as padded blocks, and the same step on plain dicts, in float64."""
    algorithm = rac(use_model, regularizer)
    data = task_data(T)
    data = data._replace(rows=data.rows.double())
    rest = [anchors(), models(algorithm) if use_model else {}]
    packed: TaskState = tree_map(to_double, start(algorithm, seed=seed))
    ordinary = tree_map(torch.clone, unpacked(packed))
    fixed, picked = tree_map(to_double, tuple(rest))
    results = []
    for state in (packed, ordinary):
        for i in range(2):
            state, _, metrics = rac_step(
                algorithm, state, data, picked or None, fixed, streams(T, "rac", seed, i)
            )  # fmt: skip
        results.append((state.policy, state.critic, state.target, metrics))
    assert isinstance(results[0][0], Packed)
    assert not isinstance(results[1][0], Packed)
    for (path, one), (_, two) in zip(named_leaves(results[0]), named_leaves(results[1]), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-7, atol=1e-9, msg=lambda text, path=path: f"{path}: {text}")
