"""merpo.nn.policy: the squashed Gaussian against torch's own and a loop."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import tanh_gaussian_log_density
from small import SPEC, generator, normal
from strategies import SEEDS
from torch.distributions import Independent, Normal, TanhTransform, TransformedDistribution

from merpo.nn.optim import gradient
from merpo.nn.policy import LOG_STD, TanhGaussian, act, distribution, init_policy


def gaussian(seed: int, *shape: int) -> TanhGaussian:
    """Narrow enough that no sample comes near the edge of the box, where arctanh has no digits left."""
    return TanhGaussian(0.5 * normal(*shape, label=seed), 0.2 * normal(*shape, label=seed + 1) - 0.5)


@settings(max_examples=25)
@given(seed=SEEDS, width=st.integers(1, 3))
def test_log_density_is_the_change_of_variables(seed: int, width: int) -> None:
    policy = gaussian(seed, 2, 4, width)
    actions, log_probs = policy.sample(0.7 * normal(2, 4, width, label=seed + 2))
    base = Independent(Normal(policy.mean, policy.log_std.exp()), 1)
    theirs = TransformedDistribution(base, [TanhTransform(cache_size=1)]).log_prob(actions)
    torch.testing.assert_close(log_probs, theirs, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(policy.log_prob(actions), log_probs, rtol=1e-6, atol=1e-6)
    assert torch.equal(policy.draw(0.7 * normal(2, 4, width, label=seed + 2)), actions)
    for t in range(2):
        for b in range(4):
            args = (x[t, b].tolist() for x in (actions, policy.mean, policy.log_std))
            assert float(log_probs[t, b]) == pytest.approx(tanh_gaussian_log_density(*args), rel=1e-6, abs=1e-6)


@settings(max_examples=25)
@given(seed=SEEDS, width=st.integers(1, 3))
def test_the_log_ratio_is_the_difference_of_log_densities(seed: int, width: int) -> None:
    policy, other = gaussian(seed, 2, 4, width), gaussian(seed + 7, 2, 4, width)
    actions = normal(2, 4, width, label=seed + 2).tanh()
    expected = policy.log_prob(actions) - other.log_prob(actions)
    torch.testing.assert_close(policy.log_ratio(other, actions), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("size", [-40.0, -12.0, 0.0, 12.0, 40.0])
def test_the_density_is_stable_far_out(size: float) -> None:
    policy = TanhGaussian(torch.full((1, 1), size), torch.zeros(1, 1))
    _, log_probs = policy.sample(torch.zeros(1, 1))
    expected = -0.5 * math.log(2 * math.pi) - 2 * math.log(2) + 2 * abs(size) + 2 * math.log1p(math.exp(-2 * abs(size)))
    assert float(log_probs) == pytest.approx(expected, rel=1e-6)


def test_density_integrates_to_one() -> None:
    grid = torch.linspace(-1 + 1e-6, 1 - 1e-6, 200_001, dtype=torch.float64)
    everywhere = torch.ones(len(grid), 1, dtype=torch.float64)
    density = TanhGaussian(0.3 * everywhere, -0.4 * everywhere).log_prob(grid[:, None])
    assert float(torch.trapezoid(density.exp(), grid)) == pytest.approx(1.0, abs=1e-4)


def test_the_very_edge_of_the_box_stays_finite() -> None:
    policy = TanhGaussian(torch.zeros(1, 2), torch.zeros(1, 2))
    for edge in (-1.0, 1.0):
        actions = torch.full((1, 2), edge)
        loss = lambda p, actions=actions: -TanhGaussian(**p).log_prob(actions)  # noqa: E731
        losses, grads = gradient(loss, policy._asdict())
        assert bool(losses.isfinite().all())
        assert all(bool(grad.isfinite().all()) for grad in grads.values())
    far = TanhGaussian(torch.full((1, 2), 40.0), torch.zeros(1, 2))
    assert bool(far.sample(torch.zeros(1, 2))[1].isfinite().all())


def test_samples_are_reparametrized() -> None:
    """The gradient of E[a] in the mean is that of tanh."""
    noise = normal(1, 5, 1)

    def loss(p: dict[str, torch.Tensor]) -> torch.Tensor:
        return TanhGaussian(**p).sample(noise)[0].sum((-2, -1))

    params = {"mean": torch.zeros(1, 5, 1).double(), "log_std": torch.zeros(1, 5, 1).double()}
    _, grads = gradient(loss, params)
    torch.testing.assert_close(grads["mean"], 1 - noise.tanh() ** 2)
    torch.testing.assert_close(grads["log_std"], (1 - noise.tanh() ** 2) * noise)


def test_the_policy_acts_by_mode_or_by_sample() -> None:
    params = init_policy(SPEC, (8,), generator(0), lead=(2,))
    observations = normal(2, 4, SPEC.observation_dim, dtype=torch.float32)
    policy = distribution(params, observations)
    assert policy.mean.shape == policy.log_std.shape == (2, 4, SPEC.action_dim)
    assert torch.equal(act(params, observations), policy.mean.tanh())
    noise = normal(2, 4, SPEC.action_dim, dtype=torch.float32)
    torch.testing.assert_close(act(params, observations, noise), (policy.mean + policy.log_std.exp() * noise).tanh())
    torch.testing.assert_close(act(params, observations, torch.zeros_like(noise)), policy.mode())


def test_the_log_std_is_bounded() -> None:
    params = {key: 1000.0 * value for key, value in init_policy(SPEC, (8,), generator(0)).items()}
    log_std = distribution(params, normal(50, SPEC.observation_dim, dtype=torch.float32)).log_std
    assert (float(log_std.min()), float(log_std.max())) == LOG_STD
