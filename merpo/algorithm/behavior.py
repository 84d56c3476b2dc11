"""Behaviour cloning: an estimate of each task's behaviour policy, by maximum likelihood on its data."""

from __future__ import annotations

from merpo.algorithm.settings import BehaviorSettings
from merpo.components.context import Context
from merpo.components.task_data import TaskData
from merpo.nn.optim import adam_, adam_init, gradient
from merpo.nn.params import expand, fast_layout, to_device
from merpo.nn.policy import distribution, init_policy
from merpo.types import Params

__all__ = ["fit_behavior"]


def fit_behavior(data: TaskData, settings: BehaviorSettings, context: Context, stage: str) -> Params:
    """π̂_β,n [T, ...] maximising E_{D_n}[log π̂_β(a|s)] for every task separately."""
    params = to_device(init_policy(data.spec, settings.hidden, context.generator("behavior")), context.device)
    params = fast_layout(expand(params, data.n_tasks))
    state = adam_init(params, dims=1)
    noise = context.streams(stage, data.n_tasks)
    first, (params, state, noise) = context.resume(stage, (params, state, noise))
    for step in range(first, settings.steps):
        batch = data.sample(noise, settings.batch_size)
        losses, grads = gradient(
            lambda p: -distribution(p, batch.observations).log_prob(batch.actions).mean(-1),  # noqa: B023
            params,
        )
        adam_(params, grads, state, settings.learning_rate)
        context.check(stage, step + 1, {"nll": losses})
        if context.end_step(step + 1, settings.steps):
            context.log(stage, step + 1, settings.steps, {"nll": losses})
        context.save_state(stage, step + 1, lambda: (params, state, noise))
    return params
