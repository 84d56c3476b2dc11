"""Dual variables of each task: β of Eq. (1), λ of Eq. (7), the entropy temperature, and the balance α (A.2.2)."""

from __future__ import annotations

import math
from typing import NamedTuple

from merpo.algorithm.settings import RacSettings
from merpo.lazy import torch
from merpo.nn.optim import AdamState, adam, adam_init

__all__ = ["Duals", "init_duals", "tune_beta", "tune_lambda", "tune_temperature"]

LOG_BETA_MAX = math.log(1e6)  # as in public COMBO and CQL implementations


class Duals(NamedTuple):
    """Dual variables and their optimiser states, [T] each."""

    log_beta: torch.Tensor
    lambda_: torch.Tensor
    log_temperature: torch.Tensor
    alpha: torch.Tensor
    beta_opt: AdamState
    temperature_opt: AdamState


def init_duals(settings: RacSettings, alpha: float, tasks: int, device: torch.device | str) -> Duals:
    """Initial values of the duals; β = 0 is log β = −∞, which tuning does not change."""
    ones = torch.ones(tasks, device=device)
    log_beta = ones * (math.log(settings.beta_initial) if settings.beta_initial > 0 else -math.inf)
    return Duals(
        log_beta,
        ones * settings.lambda_initial,
        ones * math.log(settings.temperature_initial),
        ones * alpha,
        adam_init({"x": ones}, dims=1),
        adam_init({"x": ones}, dims=1),
    )


def tune_beta(duals: Duals, gap: torch.Tensor, settings: RacSettings) -> Duals:
    """Tune β (A.2.2). Ascent on β(E_ρ[Q] − E_D[Q] − τ) in log β: β grows where `gap` [T] is above τ."""
    if not settings.beta_tune or settings.beta_initial == 0:
        return duals
    grad = -(duals.log_beta.exp() * (gap - settings.beta_threshold))  # Adam descends
    new, state = adam({"x": duals.log_beta}, {"x": grad}, duals.beta_opt, settings.beta_lr)
    return duals._replace(log_beta=new["x"].clamp(max=LOG_BETA_MAX), beta_opt=state)


def tune_lambda(duals: Duals, to_behavior: torch.Tensor, to_meta: torch.Tensor, settings: RacSettings) -> Duals:
    """Tune λ (A.2.2). A plain step: λ grows where α D(π, π_β) + (1 − α) D(π, π_c) [T] is above the target."""
    if not settings.lambda_tune:
        return duals
    target = settings.lambda_target
    excess = duals.alpha * (to_behavior - target) + (1.0 - duals.alpha) * (to_meta - target)
    return duals._replace(lambda_=(duals.lambda_ + settings.lambda_lr * excess).clamp(0.0, settings.lambda_max))


def tune_temperature(duals: Duals, log_probs: torch.Tensor, action_dim: int, settings: RacSettings) -> Duals:
    """Tune SAC's temperature: it grows where the policy's entropy, −mean of `log_probs` [T, B], is below its target."""
    if not settings.max_entropy or settings.temperature_lr == 0:
        return duals
    grad = -(log_probs.mean(-1) + settings.target_entropy * action_dim)
    new, state = adam({"x": duals.log_temperature}, {"x": grad}, duals.temperature_opt, settings.temperature_lr)
    return duals._replace(log_temperature=new["x"], temperature_opt=state)


def temperature(duals: Duals, settings: RacSettings) -> torch.Tensor:
    """The entropy temperature [T], 0 without the entropy term."""
    return duals.log_temperature.exp() if settings.max_entropy else torch.zeros_like(duals.log_temperature)
