"""Algorithm 1, RAC: conservative policy evaluation (Eq. (1)) and regularized policy improvement (Eq. (7), Eq. (9))."""

from __future__ import annotations

from typing import NamedTuple

from merpo.algorithm.duals import Duals, temperature, tune_beta, tune_lambda, tune_temperature
from merpo.algorithm.rollout import ModelBuffer, append, roll_out, sample_buffer
from merpo.algorithm.settings import RacSettings
from merpo.algorithm.units import Scales
from merpo.components.interfaces import Critic, DynamicsLearner, PolicyRegularizer
from merpo.components.task_data import TaskData
from merpo.errors import MerpoError
from merpo.lazy import torch
from merpo.nn.noise import Streams
from merpo.nn.optim import AdamState, adam_, adam_init, grad_of_sum, requires_grad
from merpo.nn.params import clone, fast_layout, lerp_, tree_map
from merpo.nn.policy import TanhGaussian, distribution
from merpo.types import Batch, Params

__all__ = [
    "RAC",
    "Anchors",
    "TaskState",
    "conservative_loss",
    "fresh_state",
    "improvement_loss",
    "rac_step",
]


class RAC(NamedTuple):
    """The settings and components of Algorithm 1."""

    settings: RacSettings
    critic: Critic
    regularizer: PolicyRegularizer | None
    dynamics: DynamicsLearner | None
    scales: Scales | None = None  # of the data; needed where a setting is "auto"

    @property
    def discount(self) -> float:
        """γ."""
        return self._number("discount")

    @property
    def reward_scale(self) -> float:
        """The factor on rewards."""
        return self._number("reward_scale")

    def _number(self, name: str) -> float:
        value = getattr(self.settings, name)
        if value != "auto":
            return float(value)
        if self.scales is None:
            raise MerpoError(
                f"rac.{name} is 'auto' without scales of the data; expected RAC(..., scales=fit_scales(...))"
            )
        return float(getattr(self.scales, name))


class TaskState(NamedTuple):
    """The training state of T tasks; the leading dim of every leaf is the task."""

    policy: Params
    critic: Params  # [T, critic, ...]
    target: Params
    policy_opt: AdamState
    critic_opt: AdamState
    duals: Duals
    buffer: ModelBuffer


class Anchors(NamedTuple):
    """The policies of the regularization terms: the behaviour clones [T, ...] and the meta-policy (no task dim)."""

    behavior: Params
    meta: Params


def fresh_state(policy: Params, critic: Params, duals: Duals, buffer: ModelBuffer) -> TaskState:
    """A state with initial optimiser states and target networks equal to the critics."""
    policy, critic = fast_layout(policy), fast_layout(critic)
    return TaskState(policy, critic, clone(critic), adam_init(policy, 1), adam_init(critic, 1), duals, buffer)


def conservative_loss(beta: torch.Tensor, gap: torch.Tensor, bellman_error: torch.Tensor) -> torch.Tensor:
    """Eq. (1). β (E_ρ[Q] − E_D[Q]) + ½ E_{d_f}[(Q − B̂Q)²], every term [T]."""
    return beta * gap + bellman_error


def improvement_loss(
    values: torch.Tensor, lambda_: torch.Tensor, alpha: torch.Tensor, to_behavior: torch.Tensor, to_meta: torch.Tensor
) -> torch.Tensor:
    """Eq. (7). −(E_{s~ρ, a~π}[Q] − λ α D(π, π_β) − λ (1 − α) D(π, π_c)), every term [T]; α = 0 is Eq. (6)."""
    return -(values - lambda_ * alpha * to_behavior - lambda_ * (1.0 - alpha) * to_meta)


def rac_step(
    rac: RAC,
    state: TaskState,
    data: TaskData,
    models: Params | None,
    anchors: Anchors | None,
    noise: Streams,
    improve: bool = True,
) -> tuple[TaskState, torch.Tensor, dict[str, torch.Tensor]]:
    """Algorithm 1, lines 3 to 5, once for T tasks: the new state, the states of ρ_n [T, B, O], and metrics [T].

    The state's networks, optimisers and buffer are updated in place: do not use the argument afterwards. Without
    `improve` only the critics are trained.
    """
    # Line 3: model rollouts into D_model, and a batch each of D_n and D_model
    state, real, rho = gather_batches(rac, state, data, models, noise)
    policy = requires_grad(state.policy) if improve else state.policy
    n_real = real.actions.shape[1] if improve and anchors is not None else 0  # Eq. (9) needs π there
    on_data, on_rho = policy_at(policy, real.observations[:, :n_real], rho.observations)
    # Line 4: conservative policy evaluation, Eq. (1)
    state, metrics = evaluate_policy(rac, state, real, rho, on_rho, noise)
    # Line 5: regularized policy improvement, Eq. (7)
    if improve:
        state, more = improve_policy(rac, state, policy, real, rho, on_data, on_rho, anchors, noise)
        metrics.update(more)
    return state, rho.observations, metrics


def gather_batches(
    rac: RAC, state: TaskState, data: TaskData, models: Params | None, noise: Streams
) -> tuple[TaskState, Batch, Batch]:
    """Line 3: roll out the model, then draw rows of D_n and, from D_model, of ρ; their rewards are scaled.

    The first rows of ρ are the model rows of d_f. Without a model, ρ is the policy at the dataset's own states (CQL),
    and all rows are real.
    """
    settings = rac.settings
    if rac.dynamics is None or models is None:
        real = scaled(data.sample(noise, settings.batch_size), rac.reward_scale)
        return state, real, real
    n_real = min(settings.batch_size - 1, max(1, round(settings.batch_size * settings.real_ratio)))
    count, length, penalty = settings.rollout_batch, settings.rollout_length, settings.reward_penalty
    within = rac.scales.units if settings.clip_rollouts and rac.scales is not None else None
    rows = roll_out(rac.dynamics, models, state.policy, data, noise, count, length, penalty, within)
    state = state._replace(buffer=append(state.buffer, rows))
    n_rho = max(settings.rho_batch or 0, settings.batch_size - n_real)
    rho = sample_buffer(state.buffer, noise, n_rho, data.spec)
    real = data.sample(noise, n_real)
    return state, scaled(real, rac.reward_scale), scaled(rho, rac.reward_scale)


def scaled(batch: Batch, factor: float) -> Batch:
    """The batch with its rewards multiplied by `factor`."""
    return batch if factor == 1 else batch._replace(rewards=batch.rewards * factor)


def policy_at(policy: Params, of_data: torch.Tensor, of_rho: torch.Tensor) -> tuple[TanhGaussian, TanhGaussian]:
    """π at the data's states and at those of ρ, both [T, B, O], in one forward pass; line 4 does not change π."""
    both = distribution(policy, torch.cat([of_data, of_rho], dim=1))
    parts = zip(*(torch.split(leaf, [of_data.shape[1], of_rho.shape[1]], dim=1) for leaf in both), strict=True)
    on_data, on_rho = (TanhGaussian(*leaves) for leaves in parts)
    return on_data, on_rho


class Proposals(NamedTuple):
    """Actions of the current policy for the critic's penalty (`merpo.Propose`); `on_rho` is π at the states of ρ."""

    policy: Params
    on_rho: TanhGaussian
    noise: Streams

    def __call__(self, observations: torch.Tensor, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        """`n` actions per row: observations [T, B, O] -> actions [T, n, B, A] and log-densities [T, n, B]."""
        with torch.no_grad():
            return self._draw(distribution(self.policy, observations), n)

    def at_rho(self, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        """`n` actions and their log-densities at each state of ρ, from the distribution already computed."""
        with torch.no_grad():
            return self._draw(self.on_rho, n)

    def _draw(self, policy: TanhGaussian, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        repeated = TanhGaussian(policy.mean[:, None], policy.log_std[:, None])  # one distribution, n draws
        return repeated.sample(self.noise.normal(n, *policy.mean.shape[1:]))


def evaluate_policy(
    rac: RAC, state: TaskState, real: Batch, rho: Batch, on_rho: TanhGaussian, noise: Streams
) -> tuple[TaskState, dict[str, torch.Tensor]]:
    """Line 4: one step of every critic on Eq. (1), with β tuned beforehand, and the targets' Polyak step.

    `on_rho` is the policy at the states of ρ.
    """
    settings, critic = rac.settings, rac.critic
    n_real, rows = real.rewards.shape[1], settings.batch_size
    mixed = real
    if n_real < rows:  # d_f: the first rows of ρ are its model rows
        mixed = tree_map(lambda a, b: torch.cat([a, b[:, : rows - n_real]], dim=1), real, rho)
    with torch.no_grad():
        draws = noise.normal(rows, real.actions.shape[-1])
        following, log_probs = distribution(state.policy, mixed.next_observations).sample(draws)
        targets = critic.backup(
            state.target, mixed, following, log_probs, temperature(state.duals, settings), rac.discount
        )
    probes = None
    observations, actions = mixed.observations, mixed.actions
    if settings.beta_initial > 0:
        probes = critic.probes(rho, Proposals(state.policy, on_rho, noise), noise)
        observations = torch.cat([observations, probes.observations], dim=1)
        actions = torch.cat([actions, probes.actions], dim=1)
    params = requires_grad(state.critic)
    sizes = [rows, observations.shape[1] - rows]
    values, probed = torch.split(critic.value(params, observations, actions), sizes, dim=-1)
    error = critic.bellman_error(values, targets)
    gap, duals = torch.zeros_like(error), state.duals
    if probes is not None:
        gap = critic.gap(probes, probed, values[..., :n_real])
        duals = tune_beta(duals, gap.detach(), settings)
    beta = duals.log_beta.exp()
    losses = conservative_loss(beta, gap, error)
    adam_(state.critic, grad_of_sum(losses, params), state.critic_opt, settings.critic_lr)
    lerp_(state.target, state.critic, settings.polyak)
    metrics = {"bellman_error": error.detach(), "q_gap": gap.detach(), "q": values.detach().mean((1, 2)), "beta": beta}
    return state._replace(duals=duals), metrics


def improve_policy(
    rac: RAC,
    state: TaskState,
    policy: Params,
    real: Batch,
    rho: Batch,
    on_data: TanhGaussian,
    on_rho: TanhGaussian,
    anchors: Anchors | None,
    noise: Streams,
) -> tuple[TaskState, dict[str, torch.Tensor]]:
    """Line 5: one step of the policy on Eq. (7), [T], with the entropy temperature and λ tuned beforehand.

    `policy` is the state's, requiring gradients; `on_data` and `on_rho` are its distributions at the states of D_n
    and of ρ. Without anchors the loss is SAC's.
    """
    settings, duals = rac.settings, state.duals
    tau = temperature(duals, settings)[:, None]
    actions, log_probs = on_rho.sample(noise.normal(*on_rho.mean.shape[1:]))
    relative = settings.lambda_relative and anchors is not None and rac.regularizer is not None
    if relative:
        values, slopes = action_values(rac.critic, state.critic, rho.observations, actions)
    else:
        values = rac.critic.value(state.critic, rho.observations, actions).amin(1)
    values = values - tau * log_probs
    duals = tune_temperature(duals, log_probs.detach(), actions.shape[-1], settings)
    metrics = {"entropy": -log_probs.detach().mean(-1)}
    if anchors is None or rac.regularizer is None:
        losses = -values.mean(-1)
    else:
        behavior, meta = _anchor_distributions(anchors, real, rho)
        to_behavior = rac.regularizer.to_behavior(on_data, behavior, real.actions, noise)
        to_meta = rac.regularizer.to_meta(on_rho, meta, noise)
        duals = tune_lambda(duals, to_behavior.detach(), to_meta.detach(), settings)
        metrics.update(to_behavior=to_behavior.detach(), to_meta=to_meta.detach())
        weight = duals.lambda_
        if relative:
            metrics["q_spread"] = q_spread(slopes, behavior)
            weight = weight * metrics["q_spread"]
        losses = improvement_loss(values.mean(-1), weight, duals.alpha, to_behavior, to_meta)
    adam_(state.policy, grad_of_sum(losses, policy), state.policy_opt, settings.actor_lr)
    metrics.update(lambda_=duals.lambda_, alpha=duals.alpha, temperature=tau.squeeze(-1), policy_loss=losses.detach())
    return state._replace(duals=duals), metrics


def action_values(
    critic: Critic, params: Params, observations: torch.Tensor, actions: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """min_i Q_i(s, a) [T, B] with its gradient in the actions alone, and that gradient ∂Q/∂a [T, B, A]."""
    leaf = actions.detach().requires_grad_(True)
    values = critic.value(params, observations, leaf).amin(1)
    (slopes,) = torch.autograd.grad(values.sum(), leaf)
    linear = (slopes * actions).sum(-1)
    return values.detach() + (linear - linear.detach()), slopes


def q_spread(slopes: torch.Tensor, behavior: TanhGaussian) -> torch.Tensor:
    """The std of Q(s, ·) over the behaviour policy's actions, to first order: √E[Σ (∂Q/∂a σ_a)²], [T]."""
    std = behavior.log_std.exp() * (1.0 - behavior.mode().square())  # of tanh(u), to first order
    square = (slopes.square().mean(1) * std.square().mean(1)).sum(-1)
    return square.sqrt()


def _anchor_distributions(anchors: Anchors, real: Batch, rho: Batch) -> tuple[TanhGaussian, TanhGaussian]:
    """π̂_β at the data's states and π_c at the states of ρ, without gradients."""
    with torch.no_grad():
        return distribution(anchors.behavior, real.observations), distribution(anchors.meta, rho.observations)
