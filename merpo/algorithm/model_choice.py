"""A.2.1: how good tasks' models are on held-out rows, by which the best members of an ensemble are chosen."""

from __future__ import annotations

from typing import NamedTuple

from merpo.components.interfaces import DynamicsLearner
from merpo.components.task_data import TaskData
from merpo.lazy import torch
from merpo.nn.packed import pack
from merpo.types import Batch, Params

__all__ = ["TaskModels", "best_models", "errors", "held_out"]

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
        return TaskModels(pack(dynamics.keep_best(theta, scores)), scores, before[0], nll, before[1], error)
