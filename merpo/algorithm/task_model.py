"""Eq. (4): a task's model by gradient steps from the meta-model, many tasks and all members at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from merpo.components.interfaces import DynamicsLearner, MetaLearner
from merpo.components.task_data import TaskData
from merpo.lazy import torch
from merpo.nn.noise import Streams
from merpo.nn.optim import adam, adam_, adam_init, gradient, sgd
from merpo.nn.params import concatenate, expand, tree_map, weights
from merpo.nn.workers import Workers, fitting, groups
from merpo.types import Batch, Params

__all__ = ["OnLosses", "adapted", "batches_of", "inner_steps", "task_objective"]

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
