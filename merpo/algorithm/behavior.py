"""Behaviour cloning: an estimate of each task's behaviour policy, by maximum likelihood on its data."""

from __future__ import annotations

from typing import Any, NamedTuple

from merpo.algorithm.early_stopping import TrainedUntil, first_best, keep_best_
from merpo.algorithm.settings import BehaviorSettings
from merpo.components.context import Context
from merpo.components.task_data import TaskData
from merpo.lazy import torch
from merpo.nn.optim import adam_, adam_init, gradient
from merpo.nn.params import expand, fast_layout, to_device
from merpo.nn.policy import distribution, init_policy
from merpo.types import Batch, Params

__all__ = ["Clones", "clone_loss", "fit_behavior", "held_out_loss"]


class Clones(NamedTuple):
    """Behaviour clones of T tasks, and how their training ended."""

    policy: Params  # [T, ...]
    ended: TrainedUntil | None = None  # [T], the loss is −E[log π̂_β(a|s)]; None without held-out rows

    def groups(self) -> dict[str, Params]:
        """The clones and one number per task under each measure's name, as groups of an artifact."""
        return {"behavior": self.policy, "clone": {} if self.ended is None else self.ended.measures("clone")}


def clone_loss(params: Params, rows: Batch) -> torch.Tensor:
    """−E[log π(a|s)] over rows [T, B, ...], one number per task [T]."""
    return -distribution(params, rows.observations).log_prob(rows.actions).mean(-1)


def fit_behavior(data: TaskData, settings: BehaviorSettings, context: Context, stage: str) -> Clones:
    """π̂_β,n maximising E_{D_n}[log π̂_β(a|s)] for every task separately, until its held-out likelihood is greatest."""
    params = to_device(init_policy(data.spec, settings.hidden, context.generator("behavior")), context.device)
    params = fast_layout(expand(params, data.n_tasks))
    state = adam_init(params, dims=1)
    noise = context.streams(stage, data.n_tasks)
    patience = settings.patience
    train, held = data.split(settings.holdout) if patience else (data, data)
    best = first_best(params, held_out_loss(params, held)) if patience else None
    begin: Any = (params, state, noise, best) if patience else (params, state, noise)
    first, saved = context.resume(stage, begin)
    params, state, noise = saved[:3]
    best = saved[3] if patience else None
    for step in range(first + 1, settings.steps + 1):
        if best is not None and not bool(best.running(patience).any()):
            context.log(stage, step - 1, step - 1, {"nll": best.loss})  # its last line
            break
        batch = train.sample(noise, settings.batch_size)
        losses, grads = gradient(lambda p: clone_loss(p, batch), params)  # noqa: B023
        adam_(params, grads, state, settings.learning_rate)
        context.check(stage, step, {"nll": losses})
        if best is not None and (step % settings.evaluate_every == 0 or step == settings.steps):
            best = keep_best_(best, params, held_out_loss(params, held), step, patience)
        if context.end_step(step, settings.steps):
            context.log(stage, step, settings.steps, {"nll": losses})
        context.save_state(stage, step, lambda: (params, state, noise) + (() if best is None else (best,)))  # noqa: B023
    return Clones(params) if best is None else Clones(best.params, best.ended(patience))


def held_out_loss(params: Params, held: TaskData) -> torch.Tensor:
    """The loss on all held-out rows, [T]."""
    rows, mask = held.all_rows()
    with torch.no_grad():
        log_probs = distribution(params, rows.observations).log_prob(rows.actions)
    return -(log_probs * mask).sum(-1) / mask.sum(-1)
