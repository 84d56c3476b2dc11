"""merpo_critics: Eq. (1)'s terms and the backup, against loops over critics and rows."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import backup as slow_backup
from oracles import conservative, mean, soft_maximum
from oracles import mlp as slow_mlp
from small import SPEC, critic, double, generator, normal, streams
from strategies import SEEDS

from merpo.algorithm.rac import conservative_loss
from merpo.nn.params import stack
from merpo.nn.policy import TanhGaussian, distribution, init_policy
from merpo.types import Batch, Params

T, B = 2, 4


def parameters(component: Any, seed: int) -> Params:
    return double(stack([component.init(SPEC, generator(seed, t)) for t in range(T)]))


def batch(seed: int) -> Batch:
    return Batch(
        normal(T, B, 3, label=(seed, "s")), normal(T, B, 2, label=(seed, "a")).tanh(), normal(T, B, label=(seed, "r")),
        normal(T, B, 3, label=(seed, "s2")), (normal(T, B, label=(seed, "d")) > 0).double(),
    )  # fmt: skip


def slow_value(params: Params, t: int, c: int, state: list[float], action: list[float], scale: float = 1.0) -> float:
    weights = [params[f"w{i}"][t, c].tolist() for i in range(2)]
    biases = [params[f"b{i}"][t, c].tolist() for i in range(2)]
    return scale * slow_mlp(weights, biases, state + action, "relu")[0]


@settings(max_examples=15)
@given(seed=SEEDS, scale=st.sampled_from([1.0, 100.0]), critics=st.integers(1, 3))
def test_values_are_each_critics_own(seed: int, scale: float, critics: int) -> None:
    component = critic(critics=critics, output_scale=scale)
    params, rows = parameters(component, seed), batch(seed)
    values = component.value(params, rows.observations, rows.actions)
    assert values.shape == (T, critics, B)
    for t in range(T):
        for c in range(critics):
            for b in range(B):
                expected = slow_value(
                    params, t, c, rows.observations[t, b].tolist(), rows.actions[t, b].tolist(), scale
                )
                assert float(values[t, c, b]) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@settings(max_examples=15)
@given(seed=SEEDS, discount=st.floats(0, 0.99))
def test_the_backup_is_clipped_soft_and_stops_at_terminations(seed: int, discount: float) -> None:
    component = critic()
    params, rows = parameters(component, seed), batch(seed)
    actions, log_probs = normal(T, B, 2, label=seed + 1).tanh(), normal(T, B, label=seed + 2)
    temperature = normal(T, label=seed + 3).exp()
    found = component.backup(params, rows, actions, log_probs, temperature, discount)
    for t in range(T):
        for b in range(B):
            state, action = rows.next_observations[t, b].tolist(), actions[t, b].tolist()
            values = [slow_value(params, t, c, state, action) for c in range(2)]
            expected = slow_backup(
                float(rows.rewards[t, b]), bool(rows.terminations[t, b]), values, float(log_probs[t, b]),
                float(temperature[t]), discount,
            )  # fmt: skip
            assert float(found[t, b]) == pytest.approx(expected, rel=1e-9, abs=1e-9)


class Recorded:
    """Draws of a policy in double precision, each of them kept in `seen`."""

    def __init__(self, policy: Params, rho: Batch, seed: int, seen: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
        self.policy, self.rho, self.seen, self.noise = policy, rho, seen, streams(T, seed)

    def __call__(self, observations: torch.Tensor, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        mean_, log_std = distribution(self.policy, observations)
        drawn = TanhGaussian(mean_[:, None], log_std[:, None]).sample(self.noise.normal(n, B, 2).double())
        self.seen.append(drawn)
        return drawn

    def at_rho(self, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self(self.rho.observations, n)


@settings(max_examples=15)
@given(seed=SEEDS, beta=st.floats(0, 20))
def test_equation_1_plain(seed: int, beta: float) -> None:
    """β (E_ρ[Q] − E_D[Q]) + ½ E_{d_f}[(Q − B̂Q)²] with a ~ π(·|s) at states of ρ, to the last digit of the loop."""
    component, seen = critic(), []  # type: ignore[var-annotated]
    params, rho, real = parameters(component, seed), batch(seed), batch(seed + 1)
    policy = double(stack([init_policy(SPEC, (4,), generator(seed, "pi", t)) for t in range(T)]))
    values = component.value(params, real.observations, real.actions)
    probes = component.probes(rho, Recorded(policy, rho, seed, seen), streams(T, "gap"))
    gap = component.gap(probes, component.value(params, probes.observations, probes.actions), values)
    targets = normal(T, B, label=seed + 2)
    found = conservative_loss(torch.full((T,), beta), gap, component.bellman_error(values, targets))
    (drawn, _), *more = seen
    assert not more
    assert drawn.shape == (T, 1, B, 2)
    for t in range(T):
        of_rho = [
            [slow_value(params, t, c, rho.observations[t, b].tolist(), drawn[t, 0, b].tolist()) for b in range(B)]
            for c in range(2)
        ]
        data = values[t].tolist()
        expected = conservative(beta, of_rho, data, data, targets[t].tolist())
        assert float(found[t]) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@settings(max_examples=10)
@given(seed=SEEDS, weight=st.sampled_from([0.5, 5.0]))
def test_beta_is_half_the_weight_of_public_code(seed: int, weight: float) -> None:
    """OfflineRL-Kit minimises MSE_i + weight · gap_i of each critic i, Eq. (1) has half of the squared error."""
    component = critic(penalty="logsumexp", proposals=2)
    params, rho, real = parameters(component, seed), batch(seed), batch(seed + 1)
    policy = double(stack([init_policy(SPEC, (4,), generator(seed, "pi", t)) for t in range(T)]))
    probes = component.probes(rho, Recorded(policy, rho, seed, []), streams(T, "uniform"))
    values = component.value(params, real.observations, real.actions)
    probed = component.value(params, probes.observations, probes.actions)
    targets = normal(T, B, label=seed + 2)
    gap = component.gap(probes, probed, values)
    found = conservative_loss(torch.full((T,), weight / 2), gap, component.bellman_error(values, targets))
    errors = (values - targets[:, None]).square().mean(-1)  # [T, critic]
    gaps = torch.stack([component.gap(probes, probed[:, [c]], values[:, [c]]) for c in range(2)], dim=1)
    torch.testing.assert_close(2 * 2 * found, (errors + weight * gaps).sum(1))


@settings(max_examples=10)
@given(seed=SEEDS, n=st.integers(1, 3))
def test_equation_1_with_log_sum_exp(seed: int, n: int) -> None:
    """CQL's form: proposals from π(·|s), from π(·|s') and uniform, each weighed by its own density."""
    component, seen = critic(penalty="logsumexp", proposals=n), []  # type: ignore[var-annotated]
    params, rho, real = parameters(component, seed), batch(seed), batch(seed + 1)
    policy = double(stack([init_policy(SPEC, (4,), generator(seed, "pi", t)) for t in range(T)]))
    values = component.value(params, real.observations, real.actions)
    probes = component.probes(rho, Recorded(policy, rho, seed, seen), streams(T, "uniform"))
    gap = component.gap(probes, component.value(params, probes.observations, probes.actions), values)
    uniform = streams(T, "uniform").uniform(n, B, 2).double() * 2 - 1
    (here, here_p), (there, there_p) = seen
    for t in range(T):
        differences = []
        for c in range(2):
            soft = []
            for b in range(B):
                actions = [x[t, k, b].tolist() for x in (here, there, uniform) for k in range(n)]
                densities = [float(x[t, k, b]) for x in (here_p, there_p) for k in range(n)] + [-2 * math.log(2.0)] * n
                state = rho.observations[t, b].tolist()
                soft.append(soft_maximum([slow_value(params, t, c, state, a) for a in actions], densities))
            differences.append(mean(soft) - mean(values[t, c].tolist()))
        assert float(gap[t]) == pytest.approx(mean(differences), rel=1e-5, abs=1e-5)


def test_log_sum_exp_estimates_the_soft_maximum() -> None:
    """With many proposals it is log ∫ exp Q(s, a) da, here of a Q that does not depend on a: Q + log volume."""
    component = critic(penalty="logsumexp", proposals=256, critics=1)
    params = {key: torch.zeros_like(value) for key, value in parameters(component, 0).items()}
    params["b1"] += 1.5
    policy = double(stack([init_policy(SPEC, (4,), generator("pi", t)) for t in range(T)]))
    data = torch.zeros(T, 1, B).double()
    probes = component.probes(batch(0), Recorded(policy, batch(0), 0, []), streams(T, "volume"))
    gap = component.gap(probes, component.value(params, probes.observations, probes.actions), data)
    torch.testing.assert_close(gap, torch.full((T,), 1.5 + 2 * math.log(2.0)).double(), rtol=0.02, atol=0.02)


def test_critics_begin_different() -> None:
    params = critic().init(SPEC, generator(0))
    assert not torch.equal(params["w0"][0], params["w0"][1])
