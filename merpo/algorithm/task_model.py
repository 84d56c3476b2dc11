"""Eq. (4): task models, adapted from the meta-model or trained from scratch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from merpo.algorithm.early_stopping import Best, TrainedUntil, first_best, keep_best_
from merpo.algorithm.settings import MetaModelSettings, ModelSettings
from merpo.components.context import Context
from merpo.components.interfaces import DynamicsLearner, MetaLearner
from merpo.components.task_data import TaskData, from_rows
from merpo.lazy import torch
from merpo.nn.noise import Streams
from merpo.nn.optim import AdamState, adam, adam_, adam_init, gradient, sgd
from merpo.nn.params import clone, concatenate, expand, fast_layout, gather, stack, to_device, tree_map, weights
from merpo.nn.workers import Workers, groups, tasks_per_cache, worker_pool
from merpo.types import Batch, Params

__all__ = [
    "HELD_OUT",
    "InnerLoop",
    "TaskModels",
    "adapt_models",
    "fit_models",
    "held_out",
    "inner_steps",
    "task_objective",
]

HELD_OUT = 1000  # rows per task, as in public implementations

# step, losses [T, member] before it, indices of the tasks
OnLosses: TypeAlias = "Callable[[int, torch.Tensor, Sequence[int]], None]"


class TaskModels(NamedTuple):
    """Models of T tasks and their errors on held-out rows before and after training."""

    models: Params  # [T, elite, ...]
    scores: torch.Tensor  # [T, member]
    nll_before: torch.Tensor  # [T], mean over members, at the meta-model
    nll_after: torch.Tensor  # [T], mean over members, after adaptation
    error_before: torch.Tensor  # [T]
    error_after: torch.Tensor  # [T]
    ended: TrainedUntil | None = None  # [T, member]; None where all steps were taken

    def measures(self) -> Params:
        """The errors before and after, one number per task under each name."""
        return {
            "nll_before": self.nll_before,
            "nll_after": self.nll_after,
            "error_before": self.error_before,
            "error_after": self.error_after,
            **self._ended(),
        }

    def _ended(self) -> Params:
        """Means over members of the steps after which they were kept, and of whether they were still improving."""
        if self.ended is None:
            return {}
        return {"model_steps": self.ended.step.mean(-1), "model_improving": self.ended.improving.mean(-1)}


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
    """`steps` gradient steps on Eq. (4) from φ, for every task and member separately: θ [T, member, ...].

    `on_losses` receives the number of each step, 1, 2, ..., and the losses [T, member] before it.
    """
    theta = tree_map(lambda leaf: leaf.expand(tasks, *leaf.shape), phi) if differentiable else expand(phi, tasks)
    state = adam_init(theta, dims=2)
    for step in range(steps):
        theta, state, losses = inner_step(dynamics, learner, phi, theta, state, batches(), lr, differentiable)
        on_losses(step + 1, losses)
    return theta


def inner_step(
    dynamics: DynamicsLearner,
    learner: MetaLearner,
    phi: Params,
    theta: Params,
    state: AdamState,
    batch: Batch,
    lr: float,
    differentiable: bool = False,
) -> tuple[Params, AdamState, torch.Tensor]:
    """One gradient step on Eq. (4): θ [T, member, ...], its Adam state, and the losses [T, member] before the step.

    Unless `differentiable`, Adam works in place.
    """
    fused = type(learner).penalty is MetaLearner.penalty  # its gradient, 2η(θ − φ), goes into the Adam kernel
    if fused and learner.inner_optimizer == "adam" and not differentiable:
        losses, grads = gradient(lambda p: dynamics.loss(p, batch), theta)
        decay = 2.0 * learner.proximal_weight
        adam_(theta, _subtract(grads, phi, decay), state, lr, decay)
        return theta, state, losses
    losses, grads = gradient(lambda p: task_objective(dynamics, learner, p, phi, batch), theta, differentiable)
    if learner.inner_optimizer == "sgd":
        return sgd(theta, grads, lr), state, losses
    if differentiable:
        return *adam(theta, grads, state, lr), losses
    adam_(theta, grads, state, lr)
    return theta, state, losses


def _subtract(grads: Params, phi: Params, factor: float) -> Params:
    """`grads` [T, member, ...] − `factor` φ; `adam_`'s decay adds `factor` θ, for the gradient of η‖θ − φ‖²."""
    return grads if factor == 0 else tree_map(lambda grad, leaf: torch.sub(grad, leaf, alpha=factor), grads, phi)


class InnerLoop(NamedTuple):
    """The inner loop, Eq. (4) on T tasks: gradient steps from a meta-model to the tasks' models."""

    dynamics: DynamicsLearner
    learner: MetaLearner
    data: TaskData
    noise: Streams
    steps: int
    lr: float
    batch_size: int
    workers: Workers
    on_step: Callable[[], None]  # called after every step
    on_losses: OnLosses

    def adapt(self, phi: Params, differentiable: bool = False, on_tasks: Callable[[int], None] | None = None) -> Params:
        """θ [T, member, ...] from φ, as one graph if `differentiable`.

        Otherwise in groups of tasks whose activations fit in the cache; `on_tasks` receives the number of finished
        tasks, if a single worker does them in order.
        """
        if differentiable:
            all_tasks = range(self.data.n_tasks)
            return self._steps(phi, all_tasks, self.data, self.noise, differentiable=True)

        def group(index: range) -> Params:
            theta = self._steps(phi, index, self.data.select(index), self.noise.select(torch.tensor(index)))
            if on_tasks is not None and self.workers.count == 1:
                on_tasks(index.stop)
            return theta

        size = tasks_per_cache(phi, 1, self.batch_size)
        return concatenate(self.workers.map(group, groups(self.data.n_tasks, size, self.workers.count)))

    def adapt_until(
        self, phi: Params, held: TaskData, patience: int, every: int, on_tasks: Callable[[int], None]
    ) -> Best:
        """θ [T, member, ...] from φ; each member stops where its loss on the `held` rows is least, `steps` at most."""

        def group(index: range) -> Best:
            data, noise, own = self.data.select(index), self.noise.select(torch.tensor(index)), held.select(index)
            theta = expand(phi, len(index))
            state = adam_init(theta, dims=2)
            best = first_best(theta, held_out_errors(self.dynamics, theta, own).nll)
            for step in range(1, self.steps + 1):
                if not bool(best.running(patience).any()):
                    break
                self.on_step()
                batch = self._batch(phi, data, noise, 0)
                theta, state, losses = inner_step(self.dynamics, self.learner, phi, theta, state, batch, self.lr)
                self.on_losses(step, losses, index)
                if step % every == 0 or step == self.steps:
                    best = keep_best_(best, theta, held_out_errors(self.dynamics, theta, own).nll, step, patience)
            if self.workers.count == 1:
                on_tasks(index.stop)
            return best

        size = tasks_per_cache(phi, 1, self.batch_size)
        return concatenate(self.workers.map(group, groups(self.data.n_tasks, size, self.workers.count)))

    def query(self, theta: Params) -> torch.Tensor:
        """The loss of the tasks' models θ on newly drawn rows, [T, member]."""
        return self.dynamics.loss(theta, self._batch(theta, self.data, self.noise, 1))

    def _steps(self, phi: Params, index: range, data: TaskData, noise: Streams, differentiable: bool = False) -> Params:
        def batches() -> Batch:
            if not differentiable:
                self.on_step()
            return self._batch(phi, data, noise, 0)

        def on_losses(step: int, losses: torch.Tensor) -> None:
            self.on_losses(step, losses, index)

        tasks, steps, lr = len(index), self.steps, self.lr
        return inner_steps(self.dynamics, self.learner, phi, tasks, steps, lr, batches, differentiable, on_losses)

    def _batch(self, params: Params, data: TaskData, noise: Streams, dim: int) -> Batch:
        """Separate rows for every member, [T, member, B, ...]: members are trained independently (A.2.1)."""
        members = next(iter(weights(params).values())).shape[dim]
        return data.sample(noise, members, self.batch_size)


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
    lr, steps, size = settings.adaptation_lr or learner.inner_lr, settings.adaptation_steps, settings.batch_size
    before = held_out_errors(dynamics, expand(phi, data.n_tasks), held)

    def on_tasks(done: int) -> None:
        if done < data.n_tasks:  # the line for all tasks follows below, with their errors
            context.log(stage, done, data.n_tasks, {})

    def check(step: int, losses: torch.Tensor, tasks: Sequence[int]) -> None:
        context.check(stage, step, {"loss": losses}, tasks)

    with worker_pool(context.workers) as workers:
        loop = InnerLoop(dynamics, learner, train, noise, steps, lr, size, workers, context.on_step, check)
        if settings.patience:
            best = loop.adapt_until(phi, held, settings.patience, settings.evaluate_every, on_tasks)
            theta, ended = best.params, best.ended(settings.patience)
        else:
            theta, ended = loop.adapt(phi, on_tasks=on_tasks), None
    result = _best_models(dynamics, theta, held, before, ended)
    context.log(stage, data.n_tasks, data.n_tasks, {"nll": result.nll_after, "error": result.error_after})
    return result


def fit_models(
    dynamics: DynamicsLearner, data: TaskData, settings: ModelSettings, context: Context, stage: str
) -> TaskModels:
    """Models that maximise E_{D_n}[log T̂_θ(s', r | s, a)], from scratch; held-out rows choose the best members.

    A model's normalisation statistics are those of its own task. `*_before` are of untrained models.
    """
    train, held = data.split(settings.holdout)
    theta = _untrained(dynamics, train, context, stage)
    members = next(iter(weights(theta).values())).shape[1]
    before = held_out_errors(dynamics, theta, held)
    opt, noise = adam_init(theta, dims=2), context.streams(stage, data.n_tasks)
    patience = settings.patience
    best = first_best(theta, before.nll) if patience else None
    begin: Any = (theta, opt, noise, best) if patience else (theta, opt, noise)
    first, saved = context.resume(stage, begin)
    theta, opt, noise = saved[:3]
    best = saved[3] if patience else None
    for step in range(first + 1, settings.steps + 1):
        if best is not None and not bool(best.running(patience).any()):
            context.log(stage, step - 1, step - 1, {"nll": best.loss.mean(-1)})  # its last line
            break
        batch = train.sample(noise, members, settings.batch_size)
        losses, grads = gradient(lambda p: dynamics.loss(p, batch), theta)  # noqa: B023
        adam_(theta, grads, opt, settings.learning_rate)
        context.check(stage, step, {"loss": losses})
        if best is not None and (step % settings.evaluate_every == 0 or step == settings.steps):
            best = keep_best_(best, theta, held_out_errors(dynamics, theta, held).nll, step, patience)
        if context.end_step(step, settings.steps):
            context.log(stage, step, settings.steps, {"loss": losses.mean(-1)})
        context.save_state(stage, step, lambda: (theta, opt, noise) + (() if best is None else (best,)))  # noqa: B023
    if best is None:
        return _best_models(dynamics, theta, held, before)
    return _best_models(dynamics, best.params, held, before, best.ended(patience))


def _untrained(dynamics: DynamicsLearner, data: TaskData, context: Context, stage: str) -> Params:
    """Untrained θ [T, member, ...]: the same weights for every task, and each task's own statistics."""
    tasks = [data.rows[start : start + size] for start, size in zip(data.starts, data.sizes, strict=True)]
    models = [dynamics.init(data.spec, from_rows(rows, data.spec), context.generator(stage)) for rows in tasks]
    return fast_layout(clone(to_device(stack(models), data.rows.device)))


class HeldOutErrors(NamedTuple):
    """Errors of models on held-out rows, [T, member]."""

    nll: torch.Tensor  # negative log-likelihood
    score: torch.Tensor  # one-step error


def held_out(data: TaskData) -> list[tuple[list[int], Batch]]:
    """At most 1000 held-out rows of every task, the same for all members, in groups of tasks with equally many.

    Each group has its tasks' indices and rows [T, 1, B, ...]. A task's rows are never cut to a smaller task's number.
    """
    counts = [min(HELD_OUT, size) for size in data.sizes]
    same_size = []
    for count in sorted(set(counts)):
        tasks = [task for task, rows in enumerate(counts) if rows == count]
        same_size.append((tasks, Batch(*(x.unsqueeze(1) for x in data.select(tasks).first(count)))))
    return same_size


def held_out_errors(dynamics: DynamicsLearner, theta: Params, held: TaskData) -> HeldOutErrors:
    """The errors of models θ [T, member, ...] on their tasks' held-out rows."""
    parts, order = [], []
    with torch.no_grad():
        for tasks, rows in held_out(held):
            part = theta if len(tasks) == held.n_tasks else gather(theta, torch.tensor(tasks, device=held.rows.device))
            parts.append(HeldOutErrors(dynamics.nll(part, rows), dynamics.score(part, rows)))
            order += tasks
    return gather(concatenate(parts), torch.tensor(order, device=held.rows.device).argsort())


def _best_models(
    dynamics: DynamicsLearner, theta: Params, held: TaskData, before: HeldOutErrors, ended: TrainedUntil | None = None
) -> TaskModels:
    """The models of each task's best members on its held-out rows (A.2.1), and their errors."""
    after = held_out_errors(dynamics, theta, held)
    with torch.no_grad():
        models = fast_layout(dynamics.keep_best(theta, after.score))
    nll_before, nll_after, error_before, error_after = (
        x.mean(-1) for x in (before.nll, after.nll, before.score, after.score)
    )
    return TaskModels(models, after.score, nll_before, nll_after, error_before, error_after, ended)
