"""What an adaptation looks like inside, one number per task: for the health of a run, never for its training."""

from __future__ import annotations

import math

from merpo.algorithm.adapt import AdaptedPolicies
from merpo.algorithm.behavior import clone_loss, held_out_loss
from merpo.algorithm.calibration import calibration
from merpo.algorithm.duals import temperature
from merpo.algorithm.halting import THRESHOLD, with_halting
from merpo.algorithm.meta_policy import MetaPolicy
from merpo.algorithm.model_returns import model_returns
from merpo.algorithm.rac import RAC, Anchors, TaskState, action_values, gather_batches, q_spread
from merpo.algorithm.settings import BehaviorSettings
from merpo.algorithm.task_model import held_out
from merpo.components.context import Context
from merpo.components.interfaces import DynamicsLearner
from merpo.components.task_data import TaskData
from merpo.lazy import torch
from merpo.nn.noise import Streams
from merpo.nn.optim import adam_, adam_init, gradient
from merpo.nn.params import clone, fast_layout, gather
from merpo.nn.policy import TanhGaussian, act, distribution
from merpo.types import Batch, Params, Units

__all__ = ["clone_gain", "diagnose", "gradient_shares", "model_errors", "return_gap", "values_and_bounds"]

ROWS = 1000  # per task, for values and gradients; the standard error of a share is then below 0.02
SAMPLES = 8  # of the model per row: their mean has 1/8 of the variance of one
MORE, LEAST, MOST = 10, 50, 200  # a clone is trained for a tenth of its steps more; at least 50: Adam begins anew
EDGE = 0.99  # an action is at its bound beyond this; actions are in [-1, 1]
LARGEST = 1e6  # of an error relative to predicting the mean


def diagnose(
    rac: RAC,
    result: AdaptedPolicies,
    data: TaskData,
    models: Params | None,
    behavior: Params | None,
    meta: MetaPolicy,
    clones: BehaviorSettings,
    holdout: float,
    context: Context,
    policy: Params | None = None,
) -> dict[str, torch.Tensor]:
    """Figures [T] for `Adapted.scores`, which `merpo.report.health` judges; empty unless `context.diagnose`.

    `policy` is the one that is kept, by default the last; `models` and `behavior` are the tasks' models and clones,
    `holdout` is the share of rows that the models were not fitted on. Every task has random streams of its own, and
    nothing that is trained is changed.
    """
    if not context.diagnose:
        return {}
    found: dict[str, torch.Tensor] = {}
    noise, policy = context.streams("diagnosis", data.n_tasks), policy or result.state.policy
    if rac.dynamics is not None and models is not None:
        found |= model_errors(rac.dynamics, models, data.split(holdout)[1], noise)
        found |= unknown_share(rac, models, policy, data, noise)
    if behavior is not None:
        found["clone_gain"] = clone_gain(behavior, data, clones, holdout, noise)
    found |= values_and_bounds(rac, result.state, data, noise)
    found["discount"] = data.rows.new_full((data.n_tasks,), rac.discount)
    found |= _growth(rac, result, found)
    if behavior is not None and rac.regularizer is not None:
        anchors = Anchors(fast_layout(behavior), fast_layout(meta.policy))
        found |= gradient_shares(rac, result.state, data, models, anchors, noise)
    if behavior is not None and models is not None and data.episodes is not None:
        found |= return_gap(rac, models, behavior, data, noise)
    return {key: torch.nan_to_num(value.detach()) for key, value in found.items()}


def model_errors(dynamics: DynamicsLearner, models: Params, held: TaskData, noise: Streams) -> dict[str, torch.Tensor]:
    """Squared error of the model's mean change of each dim, and of the reward, over that of predicting their means.

    1 says that the model knows no more than the mean of the rows `held`. The mean over dims, the largest, and its
    index: O is the reward. Dims that do not vary are left out.
    """
    parts, order = [], []
    for tasks, rows in held_out(held):
        index = torch.tensor(tasks, device=held.rows.device)
        batch = Batch(*(x.squeeze(1) for x in rows))  # [T, B, ...]
        one, streams = gather(fast_layout(models), index), noise.select(index.cpu())
        with torch.no_grad():
            steps = [
                dynamics.step(one, held.spec, batch.observations, batch.actions, streams)[:2] for _ in range(SAMPLES)
            ]
            made = torch.stack([torch.cat([s - batch.observations, r[..., None]], -1) for s, r in steps]).mean(0)
        true = torch.cat([batch.next_observations - batch.observations, batch.rewards[..., None]], -1)
        parts.append(_relative_error(made, true))
        order += tasks
    errors = torch.cat(parts)[torch.tensor(order).argsort()]  # [T, O + 1], NaN where a dim does not vary
    worst, place = errors.nan_to_num(nan=-1.0).max(-1)
    return {
        "model_error": errors.nanmean(-1).nan_to_num(),
        "model_error_worst": worst.clamp(min=0.0),
        "model_worst_dim": place.to(errors.dtype),
    }


def _relative_error(made: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Mean squared error over the variance of `true` [T, B, D]: [T, D], NaN where it varies by rounding alone."""
    error, variance = (made - true).square().mean(1), true.var(1, correction=0)
    rounding = (1e-5 * true.abs().amax(1)).square()
    varies = variance > rounding.clamp(min=torch.finfo(true.dtype).tiny)
    return torch.where(varies, (error / variance).clamp(max=LARGEST), torch.nan)


def unknown_share(rac: RAC, models: Params, policy: Params, data: TaskData, noise: Streams) -> dict[str, torch.Tensor]:
    """The share of the policy's steps in its task's model at which the members disagree more than on the data, [T].

    Rollouts are of whole episodes; 0.01 is expected of the policy that collected the data. Empty for dynamics without
    an ensemble, and where the order of the rows in time is not known.
    """
    if rac.dynamics is None or data.episodes is None:
        return {}
    known = with_halting(rac.dynamics, models, data, rac.discount)
    if THRESHOLD not in known:
        return {}
    returns = model_returns(rac.dynamics, fast_layout(known), policy, data, noise, _units(rac))
    return {"unknown": returns.unknown.mean(-1)}


def return_gap(rac: RAC, models: Params, behavior: Params, data: TaskData, noise: Streams) -> dict[str, torch.Tensor]:
    """How much more the tasks' models promise the clones than the data earned, in spreads of its returns, [T].

    Its standard error is that of the data's mean return, in the same units. Empty for a method without a model.
    """
    if rac.dynamics is None:
        return {}
    found = calibration(rac.dynamics, fast_layout(models), fast_layout(behavior), data, noise, _units(rac))
    return {"return_gap": found.gap, "return_gap_error": 1.0 / found.episodes.sqrt()}


def _units(rac: RAC) -> Units | None:
    return rac.scales.units if rac.scales is not None and rac.settings.clip_rollouts else None


def clone_gain(
    behavior: Params, data: TaskData, settings: BehaviorSettings, holdout: float, noise: Streams
) -> torch.Tensor:
    """By how much log π̂_β(a|s) of held-out rows rises with a tenth more steps, 50 to 200, per action dim: [T].

    The clone may have seen those rows, and the further steps do not: what still rises was not fitted yet.
    """
    train, held = data.split(holdout)
    params = clone(fast_layout(behavior))  # it is trained
    before, state = held_out_loss(params, held), adam_init(params, dims=1)
    for _ in range(min(MOST, max(LEAST, settings.steps // MORE))):
        batch = train.sample(noise, settings.batch_size)
        _, grads = gradient(lambda p: clone_loss(p, batch), params)  # noqa: B023
        adam_(params, grads, state, settings.learning_rate)
    return (before - held_out_loss(params, held)) / data.spec.action_dim


def values_and_bounds(rac: RAC, state: TaskState, data: TaskData, noise: Streams) -> dict[str, torch.Tensor]:
    """Q of the policy's modes at states of the data, what the data's rewards allow, and how many actions are at bounds.

    A reward in every step between the least and the greatest of the data, the task's and the training tasks', gives a
    return between r_min/(1 − γ) and r_max/(1 − γ); where episodes terminate they may end at once. The entropy term adds
    at most τ A log 2 a step.
    """
    settings, floors, ceilings = rac.settings, [], []
    units = None if rac.scales is None else rac.scales.units
    far = 1.0 / (1.0 - rac.discount)
    o, a = data.spec.observation_dim, data.spec.action_dim
    for start, size in zip(data.starts, data.sizes, strict=True):
        rewards, ends = data.rows[start : start + size, o + a], data.rows[start : start + size, -1]
        low, high = rewards.min(), rewards.max()
        if units is not None:  # a policy may earn what other tasks' data shows
            low, high = torch.minimum(low, units.reward_low), torch.maximum(high, units.reward_high)
        ended = bool(ends.any())
        floors.append(torch.minimum(low, low * far) if ended else low * far)
        ceilings.append(torch.maximum(high, high * far) if ended else high * far)
    entropy = temperature(state.duals, settings) * a * math.log(2.0) * far / rac.reward_scale
    floor, ceiling = torch.stack(floors), torch.stack(ceilings) + entropy
    with torch.no_grad():
        observations = data.sample(noise, ROWS).observations
        actions = act(state.policy, observations)
        values = rac.critic.value(state.critic, observations, actions).mean(1) / rac.reward_scale
    outside = (values < floor[:, None]) | (values > ceiling[:, None])
    return {
        "q_mean": values.mean(-1),
        "q_floor": floor,
        "q_ceiling": ceiling,
        "q_outside": outside.to(values.dtype).mean(-1),
        "at_bounds": (actions.abs() > EDGE).to(values.dtype).mean((1, 2)),
    }


def _growth(rac: RAC, result: AdaptedPolicies, found: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """By how much Q has risen in the second half of adaptation, as a share of what the rewards allow: [T]."""
    curve = result.curves.get("q")
    if curve is None or len(curve) == 0:
        return {}
    tenth = max(1, len(curve) // 10)
    middle = len(curve) // 2
    rise = curve[-tenth:].mean(0) - curve[max(0, middle - tenth) : middle + 1].mean(0)
    allowed = (found["q_ceiling"] - found["q_floor"]).clamp(min=torch.finfo(curve.dtype).eps)
    return {"q_growth": (rise / rac.reward_scale / allowed).clamp(-LARGEST, LARGEST)}


def gradient_shares(
    rac: RAC, state: TaskState, data: TaskData, models: Params | None, anchors: Anchors, noise: Streams
) -> dict[str, torch.Tensor]:
    """Shares of Q, of the clone and of the meta-policy in the norm of Eq. (7)'s gradient, one batch of ρ and D_n.

    The norms of the terms' gradients are added, that of the entropy too, as gradients that cancel still pull.
    """
    regularizer, duals = rac.regularizer, state.duals
    if regularizer is None:
        return {}
    copy = state._replace(buffer=clone(state.buffer))  # it is written to
    _, real, rho = gather_batches(rac, copy, data, models, noise)
    draws = noise.normal(rho.actions.shape[1], data.spec.action_dim)
    tau = temperature(duals, rac.settings)
    with torch.no_grad():
        behavior = distribution(anchors.behavior, real.observations)
        meta = distribution(anchors.meta, rho.observations)

    weight = regularizer_weight(rac, state, rho, behavior, draws)

    def value(policy: Params) -> torch.Tensor:
        actions, _ = distribution(policy, rho.observations).sample(draws)
        return -rac.critic.value(state.critic, rho.observations, actions).amin(1).mean(-1)

    def entropy(policy: Params) -> torch.Tensor:
        return tau * distribution(policy, rho.observations).sample(draws)[1].mean(-1)

    def to_behavior(policy: Params) -> torch.Tensor:
        on_data = distribution(policy, real.observations)
        return weight * duals.alpha * regularizer.to_behavior(on_data, behavior, real.actions, noise)

    def to_meta(policy: Params) -> torch.Tensor:
        on_rho = distribution(policy, rho.observations)
        return weight * (1.0 - duals.alpha) * regularizer.to_meta(on_rho, meta, noise)

    norms = [_norm(gradient(term, state.policy)[1]) for term in (value, entropy, to_behavior, to_meta)]
    q, _, clone_, meta_ = norms
    total = torch.stack(norms).sum(0).clamp(min=torch.finfo(q.dtype).tiny)
    return {"pull_q": q / total, "pull_clone": clone_ / total, "pull_meta": meta_ / total}


def regularizer_weight(
    rac: RAC, state: TaskState, rho: Batch, behavior: TanhGaussian, draws: torch.Tensor
) -> torch.Tensor:
    """λ of Eq. (7) in units of Q, [T]: times the spread of Q if λ is relative."""
    if not rac.settings.lambda_relative:
        return state.duals.lambda_
    actions, _ = distribution(state.policy, rho.observations).sample(draws)
    _, slopes = action_values(rac.critic, state.critic, rho.observations, actions)
    return state.duals.lambda_ * q_spread(slopes, behavior)


def _norm(grads: Params) -> torch.Tensor:
    """The Euclidean norm over all numbers of each task [T], added in one order: a file has its own."""
    return torch.stack([leaf.flatten(1).square().sum(1) for _, leaf in sorted(grads.items())]).sum(0).sqrt()
