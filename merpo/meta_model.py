"""Section 4.1: the meta-model (Eq. (3), Algorithm 2 lines 2 to 7) and a task's model adapted from it (Eq. (4))."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from merpo.context import Context
from merpo.dataset import TaskData, unpack
from merpo.interfaces import DynamicsLearner, MetaLearner
from merpo.lazy import torch
from merpo.noise import Streams
from merpo.optim import adam, adam_, adam_init, gradient, sgd
from merpo.packed import pack
from merpo.params import clone, expand, to_device, tree_map, weights
from merpo.settings import MetaModelSettings
from merpo.types import Batch, Params

__all__ = ["TaskModels", "adapt_models", "fit_meta_model", "task_objective"]


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
) -> Params:
    """`steps` gradient steps on Eq. (4) from φ, for every task and member alone: θ [T, member, ...]."""
    theta = tree_map(lambda leaf: leaf.expand(tasks, *leaf.shape), phi) if differentiable else expand(phi, tasks)
    state = adam_init(theta, dims=2)
    for _ in range(steps):
        batch = batches()
        _, grads = gradient(lambda p: task_objective(dynamics, learner, p, phi, batch), theta, differentiable)  # noqa: B023
        if learner.inner_optimizer == "sgd":
            theta = sgd(theta, grads, lr)
        elif differentiable:
            theta, state = adam(theta, grads, state, lr)
        else:
            adam_(theta, grads, state, lr)
    return theta


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
    for k in range(settings.iterations):
        index = torch.randperm(data.n_tasks, generator=chooser)[:count]
        batches = _batches(data.select(index.tolist()), noise.select(index), members, settings.batch_size)

        def adapt(start: Params, differentiable: bool, batches: Callable[[], Batch] = batches) -> Params:
            return inner_steps(
                dynamics, learner, start, count, settings.inner_steps, learner.inner_lr, batches, differentiable
            )

        def query(theta: Params, batches: Callable[[], Batch] = batches) -> torch.Tensor:
            return dynamics.loss(theta, batches())

        direction = learner.direction(phi, adapt, query)
        if learner.outer_optimizer == "sgd":
            phi = clone(sgd(phi, direction, learner.outer_lr))
        else:
            adam_(phi, clone(direction), outer, learner.outer_lr)
        if context.due(k + 1, settings.iterations):
            rows = data.select(index.tolist()).first(settings.batch_size)  # not drawn: what is shown changes nothing
            with torch.no_grad():
                nll = dynamics.loss(expand(phi, count), Batch(*(x.unsqueeze(1) for x in rows)))
            context.log("meta-model", k + 1, settings.iterations, {"nll": nll.mean()})
    return phi


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
    members = next(iter(weights(phi).values())).shape[0]
    noise = context.streams(stage, data.n_tasks)
    lr = settings.adaptation_lr or learner.inner_lr
    rows = held.first(1000)
    rows = Batch(*(x.unsqueeze(1) for x in rows))  # the same held-out rows for all members: [T, 1, B, ...]
    batches = _batches(train, noise, members, settings.batch_size)
    theta = inner_steps(dynamics, learner, phi, data.n_tasks, settings.adaptation_steps, lr, batches)
    with torch.no_grad():
        start = expand(phi, data.n_tasks)
        scores = dynamics.score(theta, rows)
        result = TaskModels(
            pack(dynamics.keep_best(theta, scores)),
            scores,
            dynamics.loss(start, rows).mean(-1),
            dynamics.loss(theta, rows).mean(-1),
            dynamics.score(start, rows).mean(-1),
            scores.mean(-1),
        )
    context.log(stage, data.n_tasks, data.n_tasks, {"nll": result.nll_after, "error": result.error_after})
    return result


def _batches(data: TaskData, noise: Streams, members: int, size: int) -> Callable[[], Batch]:
    """Rows for every member on its own, [T, member, B, ...]: members are trained independently (A.2.1)."""
    return lambda: data.sample(noise, members, size)
