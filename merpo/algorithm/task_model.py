"""Eq. (4): the model of one task, adapted from the meta-model or trained from scratch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from merpo.algorithm.settings import MetaModelSettings, ModelSettings
from merpo.components.context import Context
from merpo.components.interfaces import DynamicsLearner, MetaLearner
from merpo.components.task_data import TaskData, from_rows
from merpo.lazy import torch
from merpo.nn.noise import Streams
from merpo.nn.optim import adam, adam_, adam_init, gradient, sgd
from merpo.nn.params import clone, concatenate, expand, fast_layout, stack, to_device, tree_map, weights
from merpo.nn.workers import Workers, fitting, groups, workers
from merpo.types import Batch, Params

__all__ = [
    "OnLosses",
    "TaskModels",
    "adapt_models",
    "adapted",
    "batches_of",
    "best_models",
    "errors",
    "fit_models",
    "held_out",
    "inner_steps",
    "task_objective",
]

# a step's number, its losses [T, member], which tasks
OnLosses: TypeAlias = "Callable[[int, torch.Tensor, Sequence[int]], None]"


def task_objective(
    dynamics: DynamicsLearner, learner: MetaLearner, theta: Params, phi: Params, batch: Batch
) -> torch.Tensor:
    """Eq. (4). −E_D[log T̂_θ(s', r | s, a)] plus the meta-learner's penalty, η‖θ − φ‖² for the paper's: [T, member].

    The paper prints the likelihood without its minus sign.
    """
    return dynamics.loss(theta, batch) + learner.penalty(theta, phi)


def inner_steps(
    dynamics: DynamicsLearner,
    learner: MetaLearner,
    phi: Params,
    tasks: int,
    steps: int,
    lr: float,
    batches: Callable[[], Batch],
    differentiable: bool = False,
    on_losses: Callable[[int, torch.Tensor], None] = lambda step, losses: None,
) -> Params:
    """`steps` gradient steps on Eq. (4) from φ, for every task and member alone: θ [T, member, ...].

    `on_losses` is given the number of each step, 1, 2, ..., and the losses [T, member] before it.
    """
    pull = learner.pull()
    theta = tree_map(lambda leaf: leaf.expand(tasks, *leaf.shape), phi) if differentiable else expand(phi, tasks)
    state = adam_init(theta, dims=2)
    for step in range(steps):
        batch = batches()
        if pull is not None and learner.inner_optimizer == "adam" and not differentiable:
            losses, grads = gradient(lambda p: dynamics.loss(p, batch), theta)  # noqa: B023
            on_losses(step + 1, losses)
            adam_(theta, _less(grads, phi, 2.0 * pull), state, lr, 2.0 * pull)
            continue
        losses, grads = gradient(lambda p: task_objective(dynamics, learner, p, phi, batch), theta, differentiable)  # noqa: B023
        on_losses(step + 1, losses)
        if learner.inner_optimizer == "sgd":
            theta = sgd(theta, grads, lr)
        elif differentiable:
            theta, state = adam(theta, grads, state, lr)
        else:
            adam_(theta, grads, state, lr)
    return theta


def _less(grads: Params, phi: Params, factor: float) -> Params:
    """`grads` [T, member, ...] − `factor` φ, the part of 2η(θ − φ) that `adam_`'s decay is not."""
    return grads if factor == 0 else tree_map(lambda grad, leaf: torch.sub(grad, leaf, alpha=factor), grads, phi)


def adapted(
    dynamics: DynamicsLearner,
    learner: MetaLearner,
    phi: Params,
    data: TaskData,
    noise: Streams,
    steps: int,
    lr: float,
    rows: int,
    share: Workers,
    on_step: Callable[[], None],
    on_tasks: Callable[[int], None] = lambda done: None,
    on_losses: OnLosses = lambda step, losses, tasks: None,
) -> Params:
    """`inner_steps` on the data's tasks, so many at a time as stay in the cache, or as there are for each worker.

    `on_tasks` is told how many are done, where there is one worker; `on_losses` of every step of every group of tasks.
    """
    members = next(iter(weights(phi).values())).shape[0]
    size = fitting(phi, 1, rows)

    def group(index: range) -> Params:
        draw = batches_of(data.select(index), noise.select(torch.tensor(index)), members, rows)

        def batches() -> Batch:
            on_step()
            return draw()

        def told(step: int, losses: torch.Tensor) -> None:
            on_losses(step, losses, index)

        theta = inner_steps(dynamics, learner, phi, len(index), steps, lr, batches, on_losses=told)
        if share.count == 1:
            on_tasks(index.stop)
        return theta

    return concatenate(share.map(group, groups(data.n_tasks, size, share.count)))


def batches_of(data: TaskData, noise: Streams, members: int, size: int) -> Callable[[], Batch]:
    """Rows for every member on its own, [T, member, B, ...]: members are trained independently (A.2.1)."""
    return lambda: data.sample(noise, members, size)


HELD_OUT = 1000  # rows per task, as in public implementations


class TaskModels(NamedTuple):
    """Models of T tasks and what adaptation did to them, on held-out rows."""

    models: Params  # [T, elite, ...]
    scores: torch.Tensor  # [T, member]
    nll_before: torch.Tensor  # [T], mean over members, at the meta-model
    nll_after: torch.Tensor  # [T], mean over members, after adaptation
    error_before: torch.Tensor  # [T]
    error_after: torch.Tensor  # [T]

    def measures(self) -> Params:
        """What adaptation did to every task's model, one number per task under each name."""
        return {
            "nll_before": self.nll_before,
            "nll_after": self.nll_after,
            "error_before": self.error_before,
            "error_after": self.error_after,
        }


def held_out(data: TaskData) -> Batch:
    """Rows that nothing is trained on, at most 1000 per task, the same for all members: [T, 1, B, ...]."""
    return Batch(*(x.unsqueeze(1) for x in data.first(HELD_OUT)))


def errors(dynamics: DynamicsLearner, theta: Params, rows: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Negative log-likelihood and one-step error of models [T, member, ...], means over members, [T]."""
    with torch.no_grad():
        return dynamics.loss(theta, rows).mean(-1), dynamics.score(theta, rows).mean(-1)


def best_models(
    dynamics: DynamicsLearner, theta: Params, rows: Batch, before: tuple[torch.Tensor, torch.Tensor]
) -> TaskModels:
    """The best members of each task on held-out rows, with `errors` as they were before and as they are."""
    nll, error = errors(dynamics, theta, rows)
    with torch.no_grad():
        scores = dynamics.score(theta, rows)
        return TaskModels(fast_layout(dynamics.keep_best(theta, scores)), scores, before[0], nll, before[1], error)


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
    return fast_layout(clone(to_device(stack(made), data.rows.device)))


def adapt_models(
    dynamics: DynamicsLearner,
    learner: MetaLearner,
    phi: Params,
    data: TaskData,
    settings: MetaModelSettings,
    context: Context,
    stage: str,
) -> TaskModels:
    """A model for every task from the meta-model by Eq. (4); the best members are chosen on held-out rows."""
    phi = fast_layout(phi)
    train, held = data.split(settings.holdout)
    noise = context.streams(stage, data.n_tasks)
    lr = settings.adaptation_lr or learner.inner_lr
    rows = held_out(held)

    def on_tasks(done: int) -> None:
        if done < data.n_tasks:  # what is logged of all of them comes last
            context.log(stage, done, data.n_tasks, {})

    def check(step: int, losses: torch.Tensor, tasks: Sequence[int]) -> None:
        context.check(stage, step, {"loss": losses}, tasks)

    with workers(context.workers) as share:
        steps, size, on_step = settings.adaptation_steps, settings.batch_size, context.on_step
        theta = adapted(dynamics, learner, phi, train, noise, steps, lr, size, share, on_step, on_tasks, check)
    result = best_models(dynamics, theta, rows, errors(dynamics, expand(phi, data.n_tasks), rows))
    context.log(stage, data.n_tasks, data.n_tasks, {"nll": result.nll_after, "error": result.error_after})
    return result
