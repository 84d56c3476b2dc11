"""A.2.1: a model for every task from its own data alone, without a meta-model."""

from __future__ import annotations

from merpo.algorithm.model_choice import TaskModels, best_models, errors, held_out
from merpo.algorithm.settings import ModelSettings
from merpo.components.context import Context
from merpo.components.interfaces import DynamicsLearner
from merpo.components.task_data import TaskData, from_rows
from merpo.nn.optim import adam_, adam_init, gradient
from merpo.nn.packed import pack
from merpo.nn.params import clone, stack, to_device, weights
from merpo.types import Params

__all__ = ["fit_models"]


def fit_models(
    dynamics: DynamicsLearner, data: TaskData, settings: ModelSettings, context: Context, stage: str
) -> TaskModels:
    """Models that maximise E_{D_n}[log T̂_θ(s', r | s, a)], from scratch; held-out rows choose the best members.

    The statistics by which a model normalises are those of its own task. `*_before` are of untrained models.
    """
    train, held = data.split(settings.holdout)
    theta = _untrained(dynamics, train, context, stage)
    rows = held_out(held)
    members = next(iter(weights(theta).values())).shape[1]
    before = errors(dynamics, theta, rows)
    opt, noise = adam_init(theta, dims=2), context.streams(stage, data.n_tasks)
    first, (theta, opt, noise) = context.resume(stage, (theta, opt, noise))
    for step in range(first, settings.steps):
        batch = train.sample(noise, members, settings.batch_size)
        losses, grads = gradient(lambda p: dynamics.loss(p, batch), theta)  # noqa: B023
        adam_(theta, grads, opt, settings.learning_rate)
        context.check(stage, step + 1, {"nll": losses})
        if context.due(step + 1, settings.steps):
            context.log(stage, step + 1, settings.steps, {"nll": losses.mean(-1)})
        context.keep(stage, step + 1, lambda: (theta, opt, noise))
    return best_models(dynamics, theta, rows, before)


def _untrained(dynamics: DynamicsLearner, data: TaskData, context: Context, stage: str) -> Params:
    """θ [T, member, ...]: the same weights for every task, and each task's own statistics."""
    own = [data.rows[start : start + size] for start, size in zip(data.starts, data.sizes, strict=True)]
    made = [dynamics.init(data.spec, from_rows(rows, data.spec), context.generator(stage)) for rows in own]
    return pack(clone(to_device(stack(made), data.rows.device)))
