"""How far a task's model errs about returns: what it says of the behaviour clone against what the data earned."""

from __future__ import annotations

from typing import NamedTuple

from merpo.algorithm.model_returns import model_returns
from merpo.components.interfaces import DynamicsLearner
from merpo.components.task_data import TaskData
from merpo.lazy import torch
from merpo.nn.noise import Streams
from merpo.types import Params, Units

__all__ = ["Calibration", "calibration"]

LARGEST = 100.0  # gaps are cut there: a task's returns may hardly vary


class Calibration(NamedTuple):
    """Returns of the behaviour policies, [T] each, in the units of the data's rewards."""

    model: torch.Tensor  # in the task's model, with the clone's drawn actions
    data: torch.Tensor  # mean return of the data's episodes
    spread: torch.Tensor  # standard deviation of those returns; 0 with a single episode
    episodes: torch.Tensor

    @property
    def error(self) -> torch.Tensor:
        """By how much the model errs: the difference, and the standard error of the data's mean, [T]."""
        return torch.hypot(self.model - self.data, self.spread / self.episodes.sqrt())

    @property
    def gap(self) -> torch.Tensor:
        """By how many `spread`s the model promises more than the data earned, between −100 and 100, [T].

        0 where a task has a single episode.
        """
        rounding = 1e-5 * self.data.abs() + torch.finfo(self.data.dtype).tiny
        gap = ((self.model - self.data) / torch.maximum(self.spread, rounding)).clamp(-LARGEST, LARGEST)
        return torch.where(self.episodes > 1, gap, 0.0)


def calibration(
    dynamics: DynamicsLearner,
    models: Params,
    clones: Params,
    data: TaskData,
    noise: Streams,
    units: Units | None = None,
) -> Calibration:
    """The returns of the clones' drawn actions in the tasks' models beside those of the data, which has such actions.

    It needs the order of the rows in time.
    """
    found = model_returns(dynamics, models, clones, data, noise, units, drawn=True).plain.mean(1)
    returns = []
    for task in range(data.n_tasks):
        rows, offsets = data.in_order(task)
        sums = torch.cat([rows.rewards.new_zeros(1), rows.rewards.cumsum(0)])
        returns.append(sums[offsets[1:]] - sums[offsets[:-1]])
    return Calibration(
        found,
        torch.stack([x.mean() for x in returns]),
        torch.stack([x.std(correction=min(1, len(x) - 1)) for x in returns]),
        found.new_tensor([len(x) for x in returns]),
    )
