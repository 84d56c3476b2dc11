"""merpo.algorithm.duals: the gradients of A.2.2's dual problems by autograd on them as printed, and their bounds."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import adam as slow_adam
from small import RAC_SETTINGS

from merpo.algorithm.duals import LOG_BETA_MAX, init_duals, temperature, tune_beta, tune_lambda, tune_temperature
from merpo.algorithm.settings import RacSettings

NUMBERS = st.floats(-50, 50)


def knobs(**fields: Any) -> RacSettings:
    return RacSettings(**{**RAC_SETTINGS, **fields})


def one(x: float) -> torch.Tensor:
    return torch.tensor([x])


@settings(max_examples=25)
@given(gaps=st.lists(NUMBERS, min_size=1, max_size=4), tau=st.floats(0, 20), beta=st.floats(0.1, 10))
def test_beta_ascends_its_own_problem(gaps: list[float], tau: float, beta: float) -> None:
    """max_β β (gap − τ) in log β, with Adam: the slope is β (gap − τ)."""
    settings_ = knobs(beta_initial=beta, beta_threshold=tau, beta_lr=0.01)
    duals, log_beta, slopes = init_duals(settings_, 0.4, 1, "cpu"), math.log(beta), []
    for gap in gaps:
        slopes.append(-math.exp(log_beta) * (gap - tau))
        log_beta = slow_adam(math.log(beta), slopes, 0.01)
        duals = tune_beta(duals, one(gap), settings_)
        assert float(duals.log_beta) == pytest.approx(log_beta, rel=1e-3, abs=1e-4)


@settings(max_examples=25)
@given(gap=NUMBERS, tau=st.floats(0, 20), log_beta=st.floats(-2, 2))
def test_betas_slope_is_the_derivative_of_what_is_printed(gap: float, tau: float, log_beta: float) -> None:
    leaf = torch.tensor(log_beta, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(leaf.exp() * (gap - tau), leaf)
    settings_ = knobs(beta_initial=math.exp(log_beta), beta_threshold=tau, beta_lr=0.01)
    first = init_duals(settings_, 0.4, 1, "cpu")
    tuned = tune_beta(first, one(gap), settings_)
    if abs(float(slope)) > 1e-3:  # Adam's first step is its rate, whatever the slope; its moments keep the slope
        assert float(tuned.beta_opt.m["x"]) == pytest.approx(-0.1 * float(slope), rel=1e-3)
        assert (float(tuned.log_beta) > float(first.log_beta)) == (float(slope) > 0)


def test_beta_has_an_upper_bound_and_may_be_fixed_or_off() -> None:
    tuned = knobs(beta_initial=1e6, beta_lr=1.0)
    assert float(tune_beta(init_duals(tuned, 0.4, 1, "cpu"), one(1e6), tuned).log_beta) == pytest.approx(LOG_BETA_MAX)
    for fixed in (knobs(beta_tune=False, beta_initial=3.0), knobs(beta_initial=0.0)):
        duals = init_duals(fixed, 0.4, 1, "cpu")
        assert tune_beta(duals, one(100.0), fixed) is duals
        assert float(duals.log_beta.exp()) == pytest.approx(fixed.beta_initial)


@settings(max_examples=50)
@given(
    lambda_=st.floats(0, 100), alpha=st.floats(0, 1), to_behavior=NUMBERS, to_meta=NUMBERS,
    target=st.floats(-1, 1), lr=st.floats(0, 2),
)  # fmt: skip
def test_lambda_descends_its_own_problem(
    lambda_: float, alpha: float, to_behavior: float, to_meta: float, target: float, lr: float
) -> None:
    """min_{λ ≥ 0} −λ α (D_β − D_target) − λ (1 − α) (D_c − D_target): one plain projected step."""
    leaf = torch.tensor(lambda_, dtype=torch.float64, requires_grad=True)
    printed = -leaf * alpha * (to_behavior - target) - leaf * (1 - alpha) * (to_meta - target)
    (slope,) = torch.autograd.grad(printed, leaf)
    settings_ = knobs(lambda_lr=lr, lambda_initial=lambda_, lambda_target=target, lambda_max=120.0)
    duals = init_duals(settings_, alpha, 1, "cpu")
    found = float(tune_lambda(duals, one(to_behavior), one(to_meta), settings_).lambda_)
    assert found == pytest.approx(min(120.0, max(0.0, lambda_ - lr * float(slope))), rel=1e-4, abs=1e-4)


def test_lambda_may_be_fixed() -> None:
    fixed = knobs(lambda_tune=False)
    duals = init_duals(fixed, 0.4, 2, "cpu")
    assert tune_lambda(duals, torch.ones(2), torch.ones(2), fixed) is duals


@settings(max_examples=25)
@given(log_probs=st.lists(NUMBERS, min_size=2, max_size=5), width=st.integers(1, 4))
def test_the_temperature_follows_the_entropy(log_probs: list[float], width: int) -> None:
    """SAC's −log τ (log π + H): the temperature grows where the entropy is below its target."""
    settings_ = knobs(temperature_lr=0.01, target_entropy=-1.0)
    duals = init_duals(settings_, 0.4, 1, "cpu")
    leaf = duals.log_temperature.double().requires_grad_(True)
    loss = -(leaf * (torch.tensor(log_probs, dtype=torch.float64).mean() - width)).sum()
    (slope,) = torch.autograd.grad(loss, leaf)
    tuned = tune_temperature(duals, torch.tensor([log_probs]), width, settings_)
    assert float(tuned.temperature_opt.m["x"]) == pytest.approx(0.1 * float(slope), rel=1e-4, abs=1e-5)
    if abs(float(slope)) > 1e-3:
        entropy = -sum(log_probs) / len(log_probs)
        assert (tuned.log_temperature > duals.log_temperature) == (entropy < -width)


def test_without_the_entropy_term_the_temperature_is_zero() -> None:
    off = knobs(max_entropy=False)
    duals = init_duals(off, 0.4, 2, "cpu")
    assert torch.equal(temperature(duals, off), torch.zeros(2))
    assert tune_temperature(duals, torch.ones(2, 3), 2, off) is duals
    on = knobs(temperature_initial=0.3)
    torch.testing.assert_close(temperature(init_duals(on, 0.4, 2, "cpu"), on), torch.tensor([0.3, 0.3]))


def test_every_task_has_its_own_duals() -> None:
    settings_ = knobs(beta_lr=0.01, beta_threshold=1.0, lambda_lr=1.0)
    duals = init_duals(settings_, 0.4, 2, "cpu")
    tuned = tune_lambda(
        tune_beta(duals, torch.tensor([5.0, -5.0]), settings_), torch.tensor([5.0, 0.0]), torch.zeros(2), settings_
    )
    assert tuned.log_beta[0] > duals.log_beta[0]
    assert tuned.log_beta[1] < duals.log_beta[1]
    assert tuned.lambda_[0] > duals.lambda_[0]
    assert tuned.lambda_[1] < duals.lambda_[1]
