"""merpo_regularizers: KL and total variation against loops and numerical integration over actions."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import gaussian_kl as slow_kl
from oracles import mean, tanh_gaussian_log_density
from small import make, normal, streams
from strategies import SEEDS

from merpo.nn.noise import Streams
from merpo.nn.optim import gradient
from merpo.nn.policy import TanhGaussian

PARAMETERS = st.tuples(st.floats(-1.2, 1.2), st.floats(-1.0, 0.3))


def policy(seed: int, *shape: int) -> TanhGaussian:
    return TanhGaussian(normal(*shape, label=seed), 0.3 * normal(*shape, label=seed + 1))


def one(*parameters: tuple[float, float]) -> TanhGaussian:
    """One task, one state, an action dimension for each (mean, log-std)."""
    table = torch.tensor(parameters, dtype=torch.float64)
    return TanhGaussian(table[:, 0].view(1, 1, -1), table[:, 1].view(1, 1, -1))


def grid(n: int) -> torch.Tensor:
    """Actions in (-1, 1), equally spaced before tanh, where the densities are smooth."""
    return torch.linspace(-8.0, 8.0, n, dtype=torch.float64).tanh()


def log_densities(p: TanhGaussian, actions: torch.Tensor) -> torch.Tensor:
    wide = [x[0].expand(len(actions), -1) for x in p]
    return TanhGaussian(*wide).log_prob(actions)


@settings(max_examples=25)
@given(p=PARAMETERS, q=PARAMETERS)
def test_kl_is_the_integral_over_squashed_actions(p: tuple[float, float], q: tuple[float, float]) -> None:
    actions = grid(20_001)
    log_p, log_q = (log_densities(one(x), actions[:, None]) for x in (p, q))
    integral = torch.trapezoid(log_p.exp() * (log_p - log_q), actions)
    found = make("regularizer", "kl").to_meta(one(p), one(q), streams(1))
    assert float(found) == pytest.approx(float(integral), rel=2e-3, abs=2e-4)


@settings(max_examples=15)
@given(p=PARAMETERS, q=PARAMETERS)
def test_total_variation_is_the_integral_in_one_dimension(p: tuple[float, float], q: tuple[float, float]) -> None:
    actions = grid(20_001)
    log_p, log_q = (log_densities(one(x), actions[:, None]) for x in (p, q))
    integral = 0.5 * float(torch.trapezoid((log_p.exp() - log_q.exp()).abs(), actions))
    found = make("regularizer", "tv", samples=4096).to_meta(one(p), one(q), streams(1))
    assert float(found) == pytest.approx(integral, abs=5 * 0.5 / 4096**0.5)


def test_total_variation_is_the_integral_in_two_dimensions() -> None:
    p, q = one((0.2, -0.3), (-0.4, 0.1)), one((-0.3, -0.1), (0.5, -0.2))
    line = grid(401)
    plane = torch.cartesian_prod(line, line)
    log_p, log_q = (log_densities(x, plane).view(401, 401) for x in (p, q))
    inner = torch.trapezoid((log_p.exp() - log_q.exp()).abs(), line, dim=1)
    integral = 0.5 * float(torch.trapezoid(inner, line))
    found = make("regularizer", "tv", samples=4096).to_meta(p, q, streams(1))
    assert float(found) == pytest.approx(integral, abs=5 * 0.5 / 4096**0.5)


@settings(max_examples=25)
@given(seed=SEEDS, width=st.integers(1, 3))
def test_kl_is_the_loop(seed: int, width: int) -> None:
    ours, meta = policy(seed, 2, 3, width), policy(seed + 7, 2, 3, width)
    found = make("regularizer", "kl").to_meta(ours, meta, streams(2))
    for t in range(2):
        kls = [slow_kl(*(x[t, b].tolist() for x in (*ours, *meta))) for b in range(3)]
        assert float(found[t]) == pytest.approx(mean(kls), rel=1e-9)


@settings(max_examples=25)
@given(seed=SEEDS)
def test_the_behaviour_divergence_has_equation_9s_gradient(seed: int) -> None:
    """Its value is E_D[log π̂_β − log π_n]; its gradient in π_n is that of −E_D[log π_n], the paper's term."""
    ours, clone = policy(seed, 2, 3, 2), policy(seed + 7, 2, 3, 2)
    actions = normal(2, 3, 2, label=seed).tanh()
    kl = make("regularizer", "kl")
    value, grads = gradient(lambda p: kl.to_behavior(TanhGaussian(**p), clone, actions, streams(2)), ours._asdict())
    _, printed = gradient(lambda p: -TanhGaussian(**p).log_prob(actions).mean(-1), ours._asdict())
    for key, grad in grads.items():
        torch.testing.assert_close(grad, printed[key])
    for t in range(2):
        rows = [
            tanh_gaussian_log_density(*(x[t, b].tolist() for x in (actions, *clone)))
            - tanh_gaussian_log_density(*(x[t, b].tolist() for x in (actions, *ours)))
            for b in range(3)
        ]
        assert float(value[t]) == pytest.approx(mean(rows), rel=1e-6, abs=1e-6)


def test_the_behaviour_divergence_is_a_divergence_on_the_behaviours_own_actions() -> None:
    """Where the data is the clone's, its mean is KL(π_β‖π) ≥ 0, although −E_D[log π] alone may be negative."""
    clone, ours, count = one((0.1, -2.0)), one((0.2, -1.5)), 20_000
    wide = [TanhGaussian(*(x.expand(1, count, 1) for x in p)) for p in (clone, ours)]
    actions, _ = wide[0].sample(normal(1, count, 1))
    found = make("regularizer", "kl").to_behavior(wide[1], wide[0], actions, streams(1))
    expected = slow_kl([0.1], [-2.0], [0.2], [-1.5])
    assert float(found) == pytest.approx(expected, abs=0.02)
    assert float(-wide[1].log_prob(actions).mean()) < 0 < float(found)


@settings(max_examples=25)
@given(seed=SEEDS)
def test_total_variation_of_the_same_policy_is_zero_and_flat_whatever_rounding_does(seed: int) -> None:
    """Two processors that round otherwise would else get gradients of other signs at the first step."""
    meta = policy(seed, 2, 3, 2)
    rounded = [value + 1e-7 * normal(*value.shape, label=seed + i) for i, value in enumerate(meta)]
    tv = make("regularizer", "tv", samples=8)
    value, grads = gradient(lambda p: tv.to_meta(TanhGaussian(**p), meta, streams(2)), TanhGaussian(*rounded)._asdict())
    assert value.tolist() == [0.0, 0.0]
    assert all(not grad.any() for grad in grads.values())


@settings(max_examples=20)
@given(seed=SEEDS)
def test_total_variation_takes_the_worst_state(seed: int) -> None:
    """The maximum over states of the mean of max(0, 1 − q/p), by a loop over the same draws."""
    ours, meta, samples = policy(seed, 2, 3, 2), policy(seed + 7, 2, 3, 2), 8
    tv = make("regularizer", "tv", samples=samples)
    noise = streams(2, seed).normal(samples, 3, 2).double()
    found = tv.to_meta(ours, meta, streams(2, seed))
    behaviour = tv.to_behavior(ours, meta, torch.zeros(2, 3, 2), streams(2, seed))
    for t in range(2):
        worst = 0.0
        for b in range(3):
            terms = []
            for k in range(samples):
                u = ours.mean[t, b] + ours.log_std[t, b].exp() * noise[t, k, b]
                a = u.tanh().tolist()
                p, q = (tanh_gaussian_log_density(a, *(x[t, b].tolist() for x in d)) for d in (ours, meta))
                terms.append(max(0.0, 1.0 - 2.718281828459045 ** (q - p)))
            worst = max(worst, mean(terms))
        assert float(found[t]) == pytest.approx(worst, rel=1e-5, abs=1e-7)
        assert float(behaviour[t]) == pytest.approx(worst, rel=1e-5, abs=1e-7)
    assert bool(((found >= 0) & (found <= 1)).all())


def test_kl_needs_no_noise() -> None:
    state = Streams.seeded([1, 2])
    make("regularizer", "kl").to_meta(policy(0, 2, 3, 1), policy(5, 2, 3, 1), state)
    assert torch.equal(state.normal(3), Streams.seeded([1, 2]).normal(3))
