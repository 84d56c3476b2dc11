"""Section 4.2.3 and Algorithm 2, lines 9 to 18: training of the meta-policy (Eq. (10)) and the meta-Q network."""

from __future__ import annotations

from typing import Any, NamedTuple

from merpo.algorithm.duals import Duals, init_duals
from merpo.algorithm.rac import RAC, Anchors, TaskState, fresh_state
from merpo.algorithm.rac_steps import rac_steps
from merpo.algorithm.rollout import empty_buffer
from merpo.algorithm.settings import MetaPolicySettings
from merpo.components.context import Context
from merpo.components.interfaces import AlphaScheduler, PolicyRegularizer
from merpo.components.task_data import TaskData
from merpo.errors import MerpoError
from merpo.lazy import torch
from merpo.nn.noise import Streams
from merpo.nn.optim import AdamState, adam_, adam_init, gradient
from merpo.nn.params import clone, expand, fast_layout, gather, lerp_, mean, scatter_, to_device
from merpo.nn.policy import distribution, init_policy
from merpo.nn.workers import Workers, worker_pool
from merpo.support.metrics import check_finite, to_numbers
from merpo.types import Params

__all__ = [
    "MetaPolicy",
    "MetaState",
    "fit_meta_policy",
    "init_meta_policy",
    "meta_iteration",
    "meta_loss",
    "meta_q_step_",
]


# The parts of a task's state that persist until the task is sampled again, by `MetaPolicySettings.task_networks`.
PERSISTENT = {
    "persistent": TaskState._fields,
    "critic-from-meta": ("policy", "policy_opt", "duals", "buffer"),
    "from-meta": ("duals", "buffer"),
}


class MetaPolicy(NamedTuple):
    """The result of the outer loop: π_c, Q_meta, and the initial duals of a new task."""

    policy: Params
    critic: Params  # [critic, ...]
    duals: Params  # "log_beta", "lambda", "log_temperature", "alpha": means over the training tasks, scalars

    def groups(self) -> dict[str, Params]:
        """The three parameter groups under their names in a meta-artifact."""
        return {"meta_policy": self.policy, "meta_q": self.critic, "duals": self.duals}

    @staticmethod
    def from_groups(groups: dict[str, Params]) -> MetaPolicy:
        """The inverse of `groups`."""
        return MetaPolicy(groups["meta_policy"], groups["meta_q"], groups["duals"])


def init_meta_policy(rac: RAC, alpha: float, data: TaskData, context: Context) -> MetaPolicy:
    """An untrained meta-policy and meta-Q."""
    generator = context.generator("meta-policy-init")
    policy = fast_layout(init_policy(data.spec, rac.settings.policy_hidden, generator))
    duals = init_duals(rac.settings, alpha, 1, context.device)
    critic = fast_layout(rac.critic.init(data.spec, generator))
    return MetaPolicy(to_device(policy, context.device), to_device(critic, context.device), _mean_duals(duals))


def meta_loss(
    regularizer: PolicyRegularizer,
    meta: Params,
    policy: Params,
    states: torch.Tensor,
    weight: torch.Tensor,
    noise: Streams,
) -> torch.Tensor:
    """Eq. (10). λ (1 − α) D(π_n, π_c) at states of ρ_n, [T]: the only term that depends on π_c."""
    with torch.no_grad():
        task_policy = distribution(policy, states)
    return weight * regularizer.to_meta(task_policy, distribution(meta, states), noise)


def meta_q_step_(meta: Params, critics: Params, rate: float) -> None:
    """The meta-Q step of A.2.2, in place: Q_meta − ξ_q (Q_meta − mean of the batch's Q_n); critics [T, critic, ...]."""
    lerp_(meta, mean(critics), rate)


class MetaState(NamedTuple):
    """The state of meta-training between two meta-iterations, without the random streams."""

    meta: MetaPolicy
    opt: AdamState  # of the meta-policy
    tasks: dict[str, Any]  # the persistent parts of every task's state [N, ...] (`PERSISTENT`)


def meta_iteration(
    rac: RAC,
    alpha: AlphaScheduler,
    current: MetaState,
    data: TaskData,
    models: Params | None,
    behavior: Params,
    index: torch.Tensor,
    noise: Streams,
    settings: MetaPolicySettings,
    workers: Workers,
) -> tuple[MetaState, dict[str, torch.Tensor]]:
    """Algorithm 2, lines 9 to 18, once, for the tasks `index` of a batch: the new state, and metrics [T].

    `data`, `models`, `behavior` and `noise` are those of the batch. The parameters in `current` are updated in place.
    """
    meta = current.meta
    # Line 10: for each training task of the batch, resumed from its persistent state
    state = task_states(gather(current.tasks, index), meta, len(index))
    # Lines 11 to 15: J steps of RAC (lines 12, 13 and 14 are lines 3, 4 and 5 of Algorithm 1)
    anchors = Anchors(behavior, meta.policy)
    steps = settings.inner_steps
    state, states, metrics = rac_steps(rac, state, data, models, anchors, noise, steps, workers)
    # Line 16: end for
    # Line 17: one gradient step of Eq. (10) on the meta-policy
    metrics["meta_loss"] = _meta_policy_step(rac, meta.policy, state, states, current.opt, settings.outer_lr, noise)
    # A.2.2: the step on meta-Q
    meta_q_step_(meta.critic, state.critic, settings.meta_q_lr)
    # Section 5.2: α of every task, Eq. (11) for MerPO-Adp
    new_alpha = alpha.update(state.duals.alpha, metrics["to_behavior"], metrics["to_meta"])
    state = state._replace(duals=state.duals._replace(alpha=new_alpha))
    # Line 18: end for; the tasks' networks persist (line 1)
    scatter_(current.tasks, index, {part: getattr(state, part) for part in current.tasks})
    return current._replace(meta=meta._replace(duals=_mean_duals(current.tasks["duals"]))), metrics


def fit_meta_policy(
    rac: RAC,
    alpha: AlphaScheduler,
    data: TaskData,
    models: Params | None,
    behavior: Params,
    settings: MetaPolicySettings,
    context: Context,
) -> MetaPolicy:
    """Algorithm 2, lines 9 to 18: the meta-policy π_c, meta-Q, and the initial duals of a new task."""
    _regularizer(rac)
    meta = init_meta_policy(rac, alpha.initial, data, context)
    chooser, noise = context.generator("meta-policy"), context.streams("meta-policy", data.n_tasks)
    tasks = _initial_states(rac, meta, alpha.initial, data, settings.task_networks, context)
    current = MetaState(meta, adam_init(meta.policy, dims=0), tasks)
    behavior, models = fast_layout(behavior), None if models is None else fast_layout(models)
    total, count = settings.iterations, min(settings.task_batch, data.n_tasks)
    random = {"chooser": chooser, "noise": noise}
    first, saved = context.resume("meta-policy", {**current._asdict(), **random})
    current = MetaState(MetaPolicy(*saved["meta"]), saved["opt"], saved["tasks"])
    with worker_pool(context.workers) as workers:
        for k in range(first + 1, total + 1):
            drawn = torch.randperm(data.n_tasks, generator=chooser)[:count]
            names, index = drawn.tolist(), drawn.to(context.device)
            batch, batch_models = data.select(names), None if models is None else gather(models, index)
            batch_behavior, streams = gather(behavior, index), noise.select(drawn)
            current, metrics = meta_iteration(
                rac, alpha, current, batch, batch_models, batch_behavior, index, streams, settings, workers
            )
            context.check("meta-policy", k, metrics, names)
            if context.end_step(k, total):
                check_finite("meta-policy", k, to_numbers(metrics), names)
                context.log("meta-policy", k, total, metrics)
            if context.evaluates(k, total):
                context.evaluate_meta(k, clone(current.meta).groups())
            context.save_state("meta-policy", k, lambda: {**current._asdict(), **random})  # noqa: B023
    return current.meta


def _meta_policy_step(
    rac: RAC, meta: Params, state: TaskState, states: torch.Tensor, opt: AdamState, lr: float, noise: Streams
) -> torch.Tensor:
    """An Adam step of the meta-policy, in place, on the mean of Eq. (10) over the batch's tasks; returns that mean."""
    regularizer, weight = _regularizer(rac), state.duals.lambda_ * (1.0 - state.duals.alpha)
    tasks = len(weight)
    losses, grads = gradient(lambda p: meta_loss(regularizer, p, state.policy, states, weight, noise) / tasks, meta)
    adam_(meta, grads, opt, lr)
    return losses.sum()


def _regularizer(rac: RAC) -> PolicyRegularizer:
    """D of Eq. (10); raises `MerpoError` if there is none."""
    if rac.regularizer is None:
        raise MerpoError("fit_meta_policy: rac.regularizer is None, expected a policy regularizer")
    return rac.regularizer


def task_states(persistent: dict[str, Any], meta: MetaPolicy, tasks: int) -> TaskState:
    """The full state of a batch's tasks: the persistent parts, and the rest from the meta-policy and meta-Q."""
    if len(persistent) == len(TaskState._fields):
        return TaskState(**persistent)
    duals, buffer = persistent["duals"], persistent["buffer"]
    fresh = fresh_state(expand(meta.policy, tasks), expand(meta.critic, tasks), duals, buffer)
    return fresh._replace(**persistent)


def _initial_states(
    rac: RAC, meta: MetaPolicy, alpha: float, data: TaskData, task_networks: str, context: Context
) -> dict[str, Any]:
    """The persistent parts of every task's state before training."""
    n, settings = data.n_tasks, rac.settings
    buffer = empty_buffer(data.spec, n, settings.model_buffer if rac.dynamics else 1, context.device)
    duals = init_duals(settings, alpha, n, context.device)
    state = fresh_state(expand(meta.policy, n), expand(meta.critic, n), duals, buffer)
    return {part: getattr(state, part) for part in PERSISTENT[task_networks]}


def _mean_duals(duals: Duals) -> Params:
    """The means over tasks of the four duals, as a parameter group of an artifact."""
    named = {"log_beta": duals.log_beta, "lambda": duals.lambda_}
    named |= {"log_temperature": duals.log_temperature, "alpha": duals.alpha}
    return {key: value.mean() for key, value in named.items()}
