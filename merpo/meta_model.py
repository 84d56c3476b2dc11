"""Section 4.1: the meta-model (Eq. (3), Algorithm 2 lines 2 to 7) and a task's model adapted from it (Eq. (4))."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from merpo.context import Context
from merpo.dataset import TaskData, unpack
from merpo.interfaces import DynamicsLearner, MetaLearner
from merpo.lazy import torch
from merpo.model_choice import TaskModels, best_models, errors, held_out
from merpo.noise import Streams
from merpo.optim import adam, adam_, adam_init, gradient, sgd
from merpo.packed import pack
from merpo.params import clone, concatenate, expand, to_device, tree_map, weights
from merpo.settings import MetaModelSettings
from merpo.types import Batch, Params
from merpo.workers import Workers, fitting, groups, workers

__all__ = ["adapt_models", "fit_meta_model", "task_objective"]

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
        draw = _batches(data.select(index), noise.select(torch.tensor(index)), members, rows)

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


def init_meta_model(dynamics: DynamicsLearner, data: TaskData, generator: torch.Generator) -> Params:
    """An untrained meta-model φ_m [member, ...]; its statistics are those of all training tasks' rows."""
    return pack(to_device(dynamics.init(data.spec, unpack(data.rows, data.spec), generator), data.rows.device))


def fit_meta_model(
    dynamics: DynamicsLearner, learner: MetaLearner, data: TaskData, settings: MetaModelSettings, context: Context
) -> Params:
    """Eq. (3). The meta-model φ_m [member, ...] from the training tasks (Algorithm 2, lines 2 to 7)."""
    chooser, noise = context.generator("meta-model"), context.streams("meta-model", data.n_tasks)
    phi = init_meta_model(dynamics, data, chooser)
    members = next(iter(weights(phi).values())).shape[0]
    outer = adam_init(phi, dims=1)
    count = min(settings.task_batch, data.n_tasks)
    first, (phi, outer, chooser, noise) = context.resume("meta-model", (phi, outer, chooser, noise))
    with workers(context.workers) as share:
        for k in range(first, settings.iterations):
            index = torch.randperm(data.n_tasks, generator=chooser)[:count]
            batch, streams = data.select(index.tolist()), noise.select(index)

            def check(_: int, losses: torch.Tensor, tasks: Sequence[int]) -> None:
                names = [int(index[t]) for t in tasks]  # noqa: B023
                context.check("meta-model", k + 1, {"loss": losses}, names)  # noqa: B023

            turn = _Turn(dynamics, learner, batch, streams, settings, members, share, context.on_step, check)
            direction = learner.direction(phi, turn.adapt, turn.query)
            if learner.outer_optimizer == "sgd":
                phi = clone(sgd(phi, direction, learner.outer_lr))
            else:
                adam_(phi, clone(direction), outer, learner.outer_lr)
            if context.due(k + 1, settings.iterations):
                rows = turn.data.first(settings.batch_size)  # not drawn: what is shown changes nothing
                with torch.no_grad():
                    nll = dynamics.loss(expand(phi, count), Batch(*(x.unsqueeze(1) for x in rows)))
                context.log("meta-model", k + 1, settings.iterations, {"nll": nll.mean()})
            context.keep("meta-model", k + 1, lambda: (phi, outer, chooser, noise))  # noqa: B023
    return phi


class _Turn(NamedTuple):
    """A batch of tasks in one meta-iteration: what a meta-learner may do with it."""

    dynamics: DynamicsLearner
    learner: MetaLearner
    data: TaskData
    noise: Streams
    settings: MetaModelSettings
    members: int
    share: Workers
    on_step: Callable[[], None]
    on_losses: OnLosses

    def adapt(self, start: Params, differentiable: bool) -> Params:
        """The inner steps from `start`; where they are to be differentiated, as one graph."""
        steps, rows, lr = self.settings.inner_steps, self.settings.batch_size, self.learner.inner_lr
        if not differentiable:
            return adapted(
                self.dynamics,
                self.learner,
                start,
                self.data,
                self.noise,
                steps,
                lr,
                rows,
                self.share,
                self.on_step,
                on_losses=self.on_losses,
            )
        batches, tasks = _batches(self.data, self.noise, self.members, rows), self.data.n_tasks

        def told(step: int, losses: torch.Tensor) -> None:
            self.on_losses(step, losses, range(tasks))

        return inner_steps(self.dynamics, self.learner, start, tasks, steps, lr, batches, True, told)

    def query(self, theta: Params) -> torch.Tensor:
        """The loss of the tasks' models on other rows."""
        return self.dynamics.loss(theta, _batches(self.data, self.noise, self.members, self.settings.batch_size)())


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
    phi = pack(phi)
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


def _batches(data: TaskData, noise: Streams, members: int, size: int) -> Callable[[], Batch]:
    """Rows for every member on its own, [T, member, B, ...]: members are trained independently (A.2.1)."""
    return lambda: data.sample(noise, members, size)
