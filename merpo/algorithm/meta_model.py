"""Section 4.1: the meta-model (Eq. (3), Algorithm 2 lines 2 to 7) and a task's model adapted from it (Eq. (4))."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from merpo.algorithm.settings import MetaModelSettings
from merpo.algorithm.task_model import OnLosses, adapted, batches_of, inner_steps
from merpo.components.context import Context
from merpo.components.interfaces import DynamicsLearner, MetaLearner
from merpo.components.task_data import TaskData, from_rows
from merpo.lazy import torch
from merpo.nn.noise import Streams
from merpo.nn.optim import adam_, adam_init, sgd
from merpo.nn.params import clone, expand, fast_layout, to_device, weights
from merpo.nn.workers import Workers, workers
from merpo.types import Batch, Params

__all__ = ["fit_meta_model", "init_meta_model"]


def init_meta_model(dynamics: DynamicsLearner, data: TaskData, generator: torch.Generator) -> Params:
    """An untrained meta-model φ_m [member, ...]; its statistics are those of all training tasks' rows."""
    return fast_layout(
        to_device(dynamics.init(data.spec, from_rows(data.rows, data.spec), generator), data.rows.device)
    )


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
        batches, tasks = batches_of(self.data, self.noise, self.members, rows), self.data.n_tasks

        def told(step: int, losses: torch.Tensor) -> None:
            self.on_losses(step, losses, range(tasks))

        return inner_steps(self.dynamics, self.learner, start, tasks, steps, lr, batches, True, told)

    def query(self, theta: Params) -> torch.Tensor:
        """The loss of the tasks' models on other rows."""
        return self.dynamics.loss(theta, batches_of(self.data, self.noise, self.members, self.settings.batch_size)())
