"""merpo_meta: the outer steps against Algorithm 2's line 6, explicit autograd and finite differences."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import outer_step, squared_distance
from small import SPEC, double, dynamics, generator, make, normal, task_data
from strategies import SEEDS

from merpo.algorithm.task_model import inner_steps, task_objective
from merpo.components.task_data import from_rows
from merpo.nn.params import expand, weights
from merpo.types import Batch, Params

T, M = 2, 2


def quadratic(seed: int) -> tuple[Params, Any, Any, list[list[float]]]:
    """φ, adapt, query of tasks with centres c_t, where one SGD step of rate 0.3 is θ = φ + 0.6 (c − φ)."""
    phi = {"w0": normal(M, 3, label=seed), "stat.m": torch.ones(1, 1).double()}
    centers = normal(T, M, 3, label=seed + 1)

    def adapt(start: Params, differentiable: bool) -> Params:
        theta = start["w0"] - 0.3 * 2 * (start["w0"] - centers)
        theta = theta if differentiable else theta.detach()
        return {"w0": theta, "stat.m": start["stat.m"].expand(T, 1, 1)}

    def query(theta: Params) -> torch.Tensor:
        return (theta["w0"] - centers).square().sum(-1)

    return phi, adapt, query, centers.tolist()


@pytest.mark.parametrize("name", ["proximal", "reptile"])
@settings(max_examples=15)
@given(seed=SEEDS, rate=st.floats(0.01, 1))
def test_the_outer_step_is_line_6(name: str, seed: int, rate: float) -> None:
    phi, adapt, query, _ = quadratic(seed)
    direction = make("meta_learner", name).direction(phi, adapt, query)
    assert list(direction) == ["w0"]
    theta = adapt(phi, False)["w0"]
    moved = phi["w0"] - rate * direction["w0"]
    for m in range(M):
        for i in range(3):
            expected = outer_step(float(phi["w0"][m, i]), theta[:, m, i].tolist(), rate)
            assert float(moved[m, i]) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@settings(max_examples=15)
@given(seed=SEEDS)
def test_maml_on_a_one_step_problem_by_hand(seed: int) -> None:
    """θ = φ + 0.6 (c − φ), so dθ/dφ = 0.4: the second order has that factor, the first order has not."""
    phi, adapt, query, centers = quadratic(seed)
    first = make("meta_learner", "maml", order="first").direction(phi, adapt, query)["w0"]
    second = make("meta_learner", "maml", order="second").direction(phi, adapt, query)["w0"]
    for m in range(M):
        for i in range(3):
            at = float(phi["w0"][m, i])
            slopes = [2 * (at + 0.6 * (centers[t][m][i] - at) - centers[t][m][i]) for t in range(T)]
            mean = sum(slopes) / T
            assert float(first[m, i]) == pytest.approx(mean, rel=1e-9, abs=1e-9)
            assert float(second[m, i]) == pytest.approx(0.4 * mean, rel=1e-9, abs=1e-9)


def test_second_order_maml_of_the_ensemble_agrees_with_finite_differences() -> None:
    """Two inner steps of the real model, the real likelihood: every derivative passes through them."""
    learner, maml = (
        dynamics(members=1, elites=1, hidden=(3,)),
        make("meta_learner", "maml", order="second", inner_lr=0.1),
    )
    data = task_data(T)
    phi = double(learner.init(SPEC, from_rows(data.rows, SPEC), generator(0)))
    rows = [
        Batch(*(x[:, None].double() for x in data.first(12))),
        Batch(*(x[:, None, :6].double() for x in data.first(12))),
    ]

    def adapt(start: Params, differentiable: bool) -> Params:
        return inner_steps(learner, maml, start, T, 2, maml.inner_lr, lambda: rows[0], differentiable)

    def query(theta: Params) -> torch.Tensor:
        return learner.loss(theta, rows[1])

    found = maml.direction(phi, adapt, query)
    first = make("meta_learner", "maml", order="first", inner_lr=0.1).direction(phi, adapt, query)
    assert any(not torch.allclose(found[key], first[key], rtol=1e-3) for key in found)
    for key, value in weights(phi).items():
        for i in range(0, value.numel(), 3):
            bump = torch.zeros_like(value).view(-1)
            bump[i] = 1e-5
            up, down = (
                float(query(adapt({**phi, key: value + s * bump.view_as(value)}, False)).mean(0).sum()) for s in (1, -1)
            )
            assert float(found[key].reshape(-1)[i]) == pytest.approx((up - down) / 2e-5, rel=1e-4, abs=1e-6)


@settings(max_examples=15)
@given(seed=SEEDS, eta=st.floats(0, 10))
def test_equation_4_is_likelihood_plus_proximal_term(seed: int, eta: float) -> None:
    learner, proximal, data = dynamics(), make("meta_learner", "proximal", eta=eta), task_data(T)
    phi = double(learner.init(SPEC, from_rows(data.rows, SPEC), generator(seed)))
    theta = {
        k: v if k.startswith("stat.") else v + normal(*v.shape, label=(seed, k)) for k, v in expand(phi, T).items()
    }
    batch = Batch(*(x[:, None].double() for x in data.first(5)))
    found, nll = task_objective(learner, proximal, theta, phi, batch), learner.loss(theta, batch)
    for t in range(T):
        for m in range(3):
            own = [x for key in weights(theta) for x in theta[key][t, m].flatten().tolist()]
            center = [x for key in weights(phi) for x in phi[key][m].flatten().tolist()]
            expected = float(nll[t, m]) + eta * squared_distance(own, center)
            assert float(found[t, m]) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", ["reptile", "maml"])
def test_without_a_proximal_term_the_penalty_is_zero(name: str) -> None:
    theta = {"w0": normal(T, M, 3)}
    assert torch.equal(make("meta_learner", name).penalty(theta, {"w0": normal(M, 3)}), torch.zeros(T, M).double())
