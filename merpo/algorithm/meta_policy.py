"""Section 4.2.3 and Algorithm 2, lines 9 to 18: the meta-policy (Eq. (10)) and the meta-Q network."""

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
from merpo.nn.workers import workers
from merpo.support.metrics import check_finite, to_numbers
from merpo.types import Params

__all__ = ["MetaPolicy", "fit_meta_policy", "init_meta_policy", "meta_loss", "meta_q_step_"]


# What a task keeps from one of its turns to the next, by `MetaPolicySettings.task_networks`.
KEPT = {
    "persistent": TaskState._fields,
    "critic-from-meta": ("policy", "policy_opt", "duals", "buffer"),
    "from-meta": ("duals", "buffer"),
}


class MetaPolicy(NamedTuple):
    """What the outer loop learns: π_c, Q_meta, and the duals with which a new task starts."""

    policy: Params
    critic: Params  # [critic, ...]
    duals: Params  # "log_beta", "lambda", "log_temperature", "alpha": means over the training tasks, scalars

    def groups(self) -> dict[str, Params]:
        """The three parts under the names that a meta-artifact gives them."""
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
    """Eq. (10). λ (1 − α) D(π_n, π_c) at states of ρ_n, [T]: the only term that moves π_c, as π_n and Q_n are given."""
    with torch.no_grad():
        ours = distribution(policy, states)
    return weight * regularizer.to_meta(ours, distribution(meta, states), noise)


def meta_q_step_(meta: Params, critics: Params, rate: float) -> None:
    """The meta-Q step of A.2.2, in place: Q_meta − ξ_q (Q_meta − mean of the batch's Q_n); critics [T, critic, ...]."""
    lerp_(meta, mean(critics), rate)


def fit_meta_policy(
    rac: RAC,
    alpha: AlphaScheduler,
    data: TaskData,
    models: Params | None,
    behavior: Params,
    settings: MetaPolicySettings,
    context: Context,
) -> MetaPolicy:
    """Algorithm 2, lines 9 to 18: RAC on a batch of tasks, then one step of Eq. (10) and of meta-Q, and again."""
    regularizer = rac.regularizer
    if regularizer is None:
        raise MerpoError("fit_meta_policy: rac.regularizer is None, expected a policy regularizer")
    meta = init_meta_policy(rac, alpha.initial, data, context)
    chooser, noise = context.generator("meta-policy"), context.streams("meta-policy", data.n_tasks)
    tasks = _first_states(rac, meta, alpha.initial, data, settings.task_networks, context)
    opt = adam_init(meta.policy, dims=0)
    behavior, models = fast_layout(behavior), None if models is None else fast_layout(models)
    count = min(settings.task_batch, data.n_tasks)
    every = max(1, settings.iterations // context.checkpoints) if context.checkpoints else 0
    start: dict[str, Any] = {"meta": meta, "opt": opt, "tasks": tasks, "chooser": chooser, "noise": noise}
    first, kept = context.resume("meta-policy", start)
    meta, opt, tasks = MetaPolicy(*kept["meta"]), kept["opt"], kept["tasks"]
    with workers(context.workers) as share:
        for k in range(first, settings.iterations):
            index = torch.randperm(data.n_tasks, generator=chooser)[:count]
            where = index.to(context.device)
            state = start_turn(gather(tasks, where), meta, count)
            batch, streams = data.select(index.tolist()), noise.select(index)
            anchors = Anchors(gather(behavior, where), meta.policy)
            picked = None if models is None else gather(models, where)
            steps = settings.inner_steps
            state, states, metrics = rac_steps(rac, state, batch, picked, anchors, streams, steps, share)
            lr = settings.outer_lr
            loss = _meta_policy_step(regularizer, meta.policy, state, states, opt, lr, streams)
            meta_q_step_(meta.critic, state.critic, settings.meta_q_lr)
            new_alpha = alpha.update(state.duals.alpha, metrics["to_behavior"], metrics["to_meta"])
            state = state._replace(duals=state.duals._replace(alpha=new_alpha))
            scatter_(tasks, where, {part: getattr(state, part) for part in tasks})
            meta = meta._replace(duals=_mean_duals(tasks["duals"]))
            found, names = {**metrics, "meta_loss": loss}, index.tolist()
            context.check("meta-policy", k + 1, found, names)  # the batch's tasks by name
            if context.due(k + 1, settings.iterations):
                check_finite("meta-policy", k + 1, to_numbers(found), names)
                context.log("meta-policy", k + 1, settings.iterations, found)
            if every and (k + 1) % every == 0:
                context.checkpoint(k + 1, clone(meta).groups())
            context.keep("meta-policy", k + 1, lambda: {**start, "meta": meta, "opt": opt, "tasks": tasks})  # noqa: B023
    return meta


def _meta_policy_step(
    regularizer: PolicyRegularizer,
    meta: Params,
    state: TaskState,
    states: torch.Tensor,
    opt: AdamState,
    lr: float,
    noise: Streams,
) -> torch.Tensor:
    """Line 17: an Adam step of the meta-policy, in place, on the mean of Eq. (10) over the batch's tasks; that mean."""
    weight = state.duals.lambda_ * (1.0 - state.duals.alpha)
    tasks = len(weight)
    losses, grads = gradient(lambda p: meta_loss(regularizer, p, state.policy, states, weight, noise) / tasks, meta)
    adam_(meta, grads, opt, lr)
    return losses.sum()


def start_turn(kept: dict[str, Any], meta: MetaPolicy, tasks: int) -> TaskState:
    """The state with which tasks begin their turn: what they kept, and the rest from the meta-policy and meta-Q."""
    if len(kept) == len(TaskState._fields):
        return TaskState(**kept)
    fresh = fresh_state(expand(meta.policy, tasks), expand(meta.critic, tasks), kept["duals"], kept["buffer"])
    return fresh._replace(**kept)


def _first_states(
    rac: RAC, meta: MetaPolicy, alpha: float, data: TaskData, keep: str, context: Context
) -> dict[str, Any]:
    """What every task keeps from turn to turn, as it is before the first one."""
    n, settings = data.n_tasks, rac.settings
    buffer = empty_buffer(data.spec, n, settings.model_buffer if rac.dynamics else 1, context.device)
    duals = init_duals(settings, alpha, n, context.device)
    state = fresh_state(expand(meta.policy, n), expand(meta.critic, n), duals, buffer)
    return {part: getattr(state, part) for part in KEPT[keep]}


def _mean_duals(duals: Duals) -> Params:
    """The means over tasks of the four duals, as a group that an artifact can hold."""
    named = {"log_beta": duals.log_beta, "lambda": duals.lambda_}
    named |= {"log_temperature": duals.log_temperature, "alpha": duals.alpha}
    return {key: value.mean() for key, value in named.items()}
