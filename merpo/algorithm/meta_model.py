"""Section 4.1: training of the meta-model φ_m of Eq. (3) (Algorithm 2, lines 2 to 7)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from merpo.algorithm.early_stopping import first_best, keep_best_
from merpo.algorithm.settings import MetaModelSettings
from merpo.algorithm.task_model import InnerLoop, held_out_errors
from merpo.components.context import Context
from merpo.components.interfaces import DynamicsLearner, MetaLearner
from merpo.components.task_data import TaskData, from_rows
from merpo.lazy import torch
from merpo.nn.optim import AdamState, adam_, adam_init, sgd
from merpo.nn.params import clone, expand, fast_layout, to_device
from merpo.nn.workers import worker_pool
from merpo.types import Batch, Params

__all__ = ["fit_meta_model", "init_meta_model", "meta_model_iteration"]


def init_meta_model(dynamics: DynamicsLearner, data: TaskData, generator: torch.Generator) -> Params:
    """An untrained meta-model φ_m [member, ...], with normalisation statistics of all tasks' rows."""
    rows = torch.cat([data.rows[first : first + size] for first, size in zip(data.starts, data.sizes, strict=True)])
    phi = dynamics.init(data.spec, from_rows(rows, data.spec), generator)
    return fast_layout(to_device(phi, data.rows.device))


def meta_model_iteration(learner: MetaLearner, phi: Params, tasks: InnerLoop, outer: AdamState) -> Params:
    """Eq. (3). Algorithm 2, lines 3 to 6, for the tasks of a batch: the next φ_m; `outer` is updated in place."""
    # Lines 3 to 5: θ_n of every task by the inner steps of Eq. (4), and from them the direction of the step on φ_m
    direction = learner.direction(phi, tasks.adapt, tasks.query)
    # Line 6: the step on φ_m
    if learner.outer_optimizer == "sgd":
        return clone(sgd(phi, direction, learner.outer_lr))
    adam_(phi, clone(direction), outer, learner.outer_lr)
    return phi


def fit_meta_model(
    dynamics: DynamicsLearner, learner: MetaLearner, data: TaskData, settings: MetaModelSettings, context: Context
) -> Params:
    """Algorithm 2, lines 2 to 7: the meta-model φ_m [member, ...] from the training tasks."""
    chooser, noise = context.generator("meta-model"), context.streams("meta-model", data.n_tasks)
    train, held = data.split(settings.holdout)  # a task's best members are chosen on the rows held out here
    phi = init_meta_model(dynamics, train, chooser)
    outer = adam_init(phi, dims=1)
    total, count, patience = settings.iterations, min(settings.task_batch, data.n_tasks), settings.meta_patience
    best = first_best(phi, outer.t.new_full(outer.t.shape, math.inf)) if patience else None
    begin: Any = (phi, outer, chooser, noise, best) if patience else (phi, outer, chooser, noise)
    first, saved = context.resume("meta-model", begin)
    phi, outer, chooser, noise = saved[:4]
    best = saved[4] if patience else None
    with worker_pool(context.workers) as workers:
        for k in range(first + 1, total + 1):
            if best is not None and not bool(best.running(patience).any()):
                context.log("meta-model", k - 1, k - 1, {"nll": best.loss.mean()})  # its last line
                break
            index = torch.randperm(data.n_tasks, generator=chooser)[:count]

            def check(_: int, losses: torch.Tensor, tasks: Sequence[int]) -> None:
                context.check("meta-model", k, {"loss": losses}, [int(index[t]) for t in tasks])  # noqa: B023

            batch = InnerLoop(
                dynamics,
                learner,
                train.select(index.tolist()),
                noise.select(index),
                settings.inner_steps,
                learner.inner_lr,
                settings.batch_size,
                workers,
                context.on_step,
                check,
            )
            phi = meta_model_iteration(learner, phi, batch, outer)
            if best is not None and (k % settings.meta_evaluate_every == 0 or k == total):
                loss = _adapted_loss(dynamics, phi, batch, (train, held), context)
                best = keep_best_(best, phi, loss, k, patience)
            if context.end_step(k, total):
                losses = _nll(dynamics, phi, batch)
                context.check("meta-model", k, {"nll": losses}, index.tolist())
                context.log("meta-model", k, total, {"nll": losses.mean()})
            context.save_state(
                "meta-model",
                k,
                lambda: (phi, outer, chooser, noise) + (() if best is None else (best,)),  # noqa: B023
            )
    return phi if best is None else best.params


def _adapted_loss(
    dynamics: DynamicsLearner, phi: Params, batch: InnerLoop, data: tuple[TaskData, TaskData], context: Context
) -> torch.Tensor:
    """The held-out loss [member] after the inner steps from φ, mean over all tasks; the same rows on every call."""
    train, held = data
    noise = context.streams("meta-model-held-out", train.n_tasks)
    theta = batch._replace(data=train, noise=noise, on_losses=lambda step, losses, tasks: None).adapt(phi)
    return held_out_errors(dynamics, theta, held).nll.mean(0)


def _nll(dynamics: DynamicsLearner, phi: Params, batch: InnerLoop) -> torch.Tensor:
    """The negative log-likelihoods [T, member] of φ_m on the first rows of the tasks; no random draws."""
    rows = batch.data.first(batch.batch_size)
    with torch.no_grad():
        return dynamics.nll(expand(phi, batch.data.n_tasks), Batch(*(x.unsqueeze(1) for x in rows)))
