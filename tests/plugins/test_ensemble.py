"""merpo_dynamics: the probabilistic ensemble against a loop, and members that do not touch each other."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import ensemble_nll, mean, soft_bounds
from oracles import mlp as slow_mlp
from pydantic import ValidationError
from small import SPEC, double, dynamics, generator, make, normal, streams, task_data
from strategies import SEEDS

from merpo.components.task_data import from_rows
from merpo.nn.optim import adam_, adam_init, gradient
from merpo.nn.params import expand, weights
from merpo.types import Batch, Params, Spec


def rows(seed: int, *lead: int) -> Batch:
    return Batch(
        normal(*lead, 3, label=(seed, "s")),
        normal(*lead, 2, label=(seed, "a")).tanh(),
        normal(*lead, label=(seed, "r")),
        normal(*lead, 3, label=(seed, "s2")),
        (normal(*lead, label=(seed, "d")) > 0).double(),
    )


def fitted(learner: object, seed: int) -> Params:
    return double(learner.init(SPEC, Batch(*(x.float() for x in rows(seed, 30))), generator(seed)))  # type: ignore[attr-defined]


def slow_predictions(params: Params, member: int, batch: Batch, i: int) -> tuple[list[float], list[float]]:
    """(mean, std) of (Δs, r) in the data's units, for one row, in plain numbers."""
    stat = {
        key: params[f"stat.{key}"].flatten().tolist()
        for key in ("input_mean", "input_std", "target_mean", "target_std")
    }
    inputs = batch.observations[i].tolist() + batch.actions[i].tolist()
    inputs = [(x - m) / s for x, m, s in zip(inputs, stat["input_mean"], stat["input_std"], strict=True)]
    depth = sum(key.startswith("w") for key in params)
    out = slow_mlp(
        [params[f"w{k}"][member].tolist() for k in range(depth)],
        [params[f"b{k}"][member].tolist() for k in range(depth)],
        inputs, "silu",
    )  # fmt: skip
    dims = len(stat["target_mean"])
    mus = [m + s * x for x, m, s in zip(out, stat["target_mean"], stat["target_std"], strict=False)]
    bounded = [soft_bounds(x, -10.0, 0.5) for x in out[dims : 2 * dims]]
    return mus, [s * math.exp(0.5 * v) for v, s in zip(bounded, stat["target_std"], strict=True)]


@settings(max_examples=15)
@given(seed=SEEDS)
def test_the_loss_is_the_negative_log_likelihood_in_the_datas_units(seed: int) -> None:
    learner = dynamics()
    params, batch = fitted(learner, seed), rows(seed + 1, 5)
    targets = [
        [b - a for a, b in zip(s, n, strict=True)] + [r]
        for s, n, r in zip(
            batch.observations.tolist(), batch.next_observations.tolist(), batch.rewards.tolist(), strict=True
        )
    ]
    found = learner.nll(expand(params, 1), Batch(*(x[None, None] for x in batch)))[0]
    assert torch.equal(learner.loss(expand(params, 1), Batch(*(x[None, None] for x in batch)))[0], found)
    for m in range(3):
        predicted = [slow_predictions(params, m, batch, i) for i in range(5)]
        expected = ensemble_nll([p[0] for p in predicted], [p[1] for p in predicted], targets)
        assert float(found[m]) == pytest.approx(expected, rel=1e-6)
    scores = learner.score(expand(params, 1), Batch(*(x[None, None] for x in batch)))[0]
    scale = params["stat.target_std"].flatten().tolist()
    for m in range(3):
        errors = [
            ((y - p) / s) ** 2
            for i, target in enumerate(targets)
            for y, p, s in zip(target, slow_predictions(params, m, batch, i)[0], scale, strict=True)
        ]
        assert float(scores[m]) == pytest.approx(mean(errors), rel=1e-6)


@settings(max_examples=15)
@given(seed=SEEDS, beta=st.floats(0.01, 1.0))
def test_the_beta_nll_weighs_every_dim_by_its_variance_but_does_not_move_with_it(seed: int, beta: float) -> None:
    learner, plain = dynamics(beta_nll=beta), dynamics()
    params, batch = fitted(learner, seed), Batch(*(x[None, None] for x in rows(seed + 1, 5)))
    theta = expand(params, 1)
    _, grads = gradient(lambda p: learner.loss(p, batch), theta)

    def slow(p: Params) -> torch.Tensor:  # row by row and dim by dim, with constant weights
        mean, log_var, _ = plain._forward(p, torch.cat([batch.observations, batch.actions], -1))
        change = torch.cat([batch.next_observations - batch.observations, batch.rewards[..., None]], -1)
        target = (change - p["stat.target_mean"]) / p["stat.target_std"]
        total = torch.zeros(1, 3)
        for i in range(5):
            for d in range(mean.shape[-1]):
                variance = log_var[..., i, d].exp()
                density = torch.distributions.Normal(mean[..., i, d], variance.sqrt()).log_prob(target[..., i, d])
                total = total - (variance**beta).detach() * density / 5
        return total

    _, expected = gradient(slow, theta)
    for key, grad in grads.items():
        torch.testing.assert_close(grad, expected[key])
    assert torch.equal(learner.nll(theta, batch), plain.loss(theta, batch))


def test_with_beta_the_mean_is_learnt_where_the_noise_is_large() -> None:
    """A likelihood alone leaves a noisy region's slope to the variance; Seitzer et al. (2022), section 3."""
    noise = torch.Generator().manual_seed(0)
    o, a = torch.rand(2000, 3, generator=noise) * 2 - 1, torch.rand(2000, 2, generator=noise) * 2 - 1
    still = (torch.arange(2000) % 10 > 0).float()  # nine rows of ten barely move
    change = (1 - still)[:, None] * a[:, :1] * torch.tensor([1.0, 0.0, 0.0]) + 1e-4 * torch.randn(
        2000, 3, generator=noise
    )
    o[:, 2] = still
    data = Batch(o, a, torch.zeros(2000), o + change, torch.zeros(2000))
    errors = {}
    for beta in (0.0, 0.5):
        learner = dynamics(beta_nll=beta, hidden=(16, 16))
        theta = expand(learner.init(SPEC, data, generator(0)), 1)
        state = adam_init(theta, dims=2)
        for _ in range(300):
            index = torch.randint(2000, (128,), generator=noise)
            batch = Batch(*(x[index][None, None] for x in data))
            _, grads = gradient(lambda p: learner.loss(p, batch), theta)  # noqa: B023
            adam_(theta, grads, state, 3e-3)
        moving = Batch(*(x[still == 0][None, None] for x in data))
        errors[beta] = float(learner.score(theta, moving).mean())
    assert errors[0.5] < 0.5 * errors[0.0], errors


def test_learned_terminations_add_their_cross_entropy() -> None:
    learner, plain = dynamics(termination="learned"), rows(3, 1, 3, 6)
    params = expand(fitted(learner, 0), 1)
    logit = learner._forward(params, torch.cat([plain.observations, plain.actions], -1))[2]
    chance = logit.sigmoid()
    entropy = -(plain.terminations * chance.log() + (1 - plain.terminations) * (1 - chance).log()).mean(-1)
    without = {key: value[..., :-1] if key in ("w1", "b1") else value for key, value in params.items()}
    torch.testing.assert_close(learner.loss(params, plain), dynamics().loss(without, plain) + entropy)


def test_statistics_are_those_of_all_rows() -> None:
    data = task_data(2)
    every = from_rows(data.rows, data.spec)
    params = dynamics().init(data.spec, every, generator(0))
    inputs = torch.cat([every.observations, every.actions], -1)
    torch.testing.assert_close(params["stat.input_mean"].flatten(), inputs.mean(0))
    torch.testing.assert_close(params["stat.input_std"].flatten(), inputs.std(0, correction=0))
    change = torch.cat([every.next_observations - every.observations, every.rewards[:, None]], -1)
    torch.testing.assert_close(params["stat.target_mean"].flatten(), change.mean(0))
    assert not {key for key in weights(params) if key.startswith("stat.")}


def test_a_feature_that_never_varies_stays_finite() -> None:
    batch = Batch(torch.ones(9, 3), torch.ones(9, 2), torch.ones(9), torch.ones(9, 3), torch.zeros(9))
    params = expand(dynamics().init(SPEC, batch, generator(0)), 1)
    assert bool(dynamics().loss(params, Batch(*(x[None, None] for x in batch))).isfinite().all())


def test_members_do_not_influence_each_other() -> None:
    learner = dynamics()
    params, batch = expand(fitted(learner, 0), 2), rows(1, 2, 3, 6)
    losses, grads = gradient(lambda p: learner.loss(p, batch), params)
    changed = {key: value.clone() for key, value in params.items()}
    for key in weights(changed):
        changed[key][:, 1] += 0.1
    moved = batch._replace(rewards=batch.rewards.clone())
    moved.rewards[:, 1] += 1.0
    others, grads_of_others = gradient(lambda p: learner.loss(p, moved), changed)
    assert not torch.equal(losses[:, 1], others[:, 1])
    for m in (0, 2):
        assert torch.equal(losses[:, m], others[:, m])
        for key, grad in grads.items():
            assert torch.equal(grad[:, m], grads_of_others[key][:, m])


def test_members_begin_different() -> None:
    params = dynamics().init(SPEC, Batch(*(x.float() for x in rows(0, 9))), generator(0))
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert not torch.equal(params["w0"][a], params["w0"][b])


def test_every_row_of_a_step_comes_from_an_elite_of_its_own_task() -> None:
    """Elites that predict a constant each: which task and elite made a row can be read from it."""
    learner = make("dynamics", "ensemble", members=2, elites=2, hidden=(4,))
    tasks, elites, count = 3, 2, 400
    params = {key: torch.zeros_like(value) for key, value in expand(fitted(learner, 0), tasks).items()}
    for key in ("stat.input_std", "stat.target_std"):
        params[key] = torch.ones_like(params[key])
    for t in range(tasks):
        for e in range(elites):
            params["b1"][t, e, :4] = 10.0 * t + e
            params["b1"][t, e, 4:] = -100.0  # the smallest variance
    states, actions = torch.zeros(tasks, count, 3).double(), torch.zeros(tasks, count, 2).double()
    following, rewards, ended = learner.step(params, SPEC, states, actions, streams(tasks, "step"))
    assert not ended.any()
    for t in range(tasks):
        seen = {round(value / 1.0) for value in rewards[t].tolist()}
        assert seen == {10 * t, 10 * t + 1}
        share = float((rewards[t].round() == 10 * t).double().mean())
        assert 0.4 < share < 0.6
        torch.testing.assert_close(following[t].round(), rewards[t].round()[:, None].expand(-1, 3))


def test_a_step_draws_from_the_predicted_gaussian() -> None:
    learner, count = make("dynamics", "ensemble", members=1, elites=1, hidden=(4,)), 20_000
    params = expand(fitted(learner, 5), 1)
    one = rows(9, 1)
    states, actions = one.observations.expand(1, count, 3), one.actions.expand(1, count, 2)
    following, rewards, _ = learner.step(params, SPEC, states, actions, streams(1, "draw"))
    mus, stds = slow_predictions({k: v[0] for k, v in params.items()}, 0, one, 0)
    drawn = torch.cat([following - states, rewards[..., None]], -1)[0]
    for i, (mu, std) in enumerate(zip(mus, stds, strict=True)):
        assert float(drawn[:, i].mean()) == pytest.approx(mu, abs=5 * std / math.sqrt(count))
        assert float(drawn[:, i].std()) == pytest.approx(std, rel=0.03)


def test_the_families_termination_function_ends_rollouts() -> None:
    spec = Spec(3, 2, lambda s, a, s2: (s2[..., 0] > 0).to(s2.dtype))
    learner = dynamics()
    params = learner.keep_best(expand(fitted(learner, 0), 2), normal(2, 3))
    batch = rows(4, 2, 50)
    following, _, ended = learner.step(params, spec, batch.observations, batch.actions, streams(2, "end"))
    assert torch.equal(ended, (following[..., 0] > 0).double())
    assert 0 < float(ended.mean()) < 1


def test_more_elites_than_members_are_refused() -> None:
    with pytest.raises(ValidationError, match="elites = 5, expected at most members = 2"):
        dynamics(members=2, elites=5)
