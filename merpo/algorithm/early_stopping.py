"""Early stopping by held-out loss, separately for every slice (task, member): each keeps its best parameters."""

from __future__ import annotations

from typing import NamedTuple

from merpo.lazy import torch
from merpo.nn.params import clone, fast_layout, tree_map, weights
from merpo.types import Params

__all__ = ["Best", "TrainedUntil", "first_best", "keep_best_"]

LEAST = 0.01  # nats by which a held-out loss must fall to count as an improvement


class TrainedUntil(NamedTuple):
    """After how many steps each slice's parameters were kept, and whether its held-out loss was still falling."""

    step: torch.Tensor  # [*lead]
    loss: torch.Tensor  # [*lead]
    improving: torch.Tensor  # [*lead], 1.0 where the maximum of steps ended training, not the held-out loss

    def measures(self, name: str) -> Params:
        """One number per slice under each measure's name."""
        return {f"{name}_steps": self.step, f"{name}_nll": self.loss, f"{name}_improving": self.improving}


class Best(NamedTuple):
    """The parameters with the lowest held-out loss so far, per slice [*lead]."""

    params: Params  # [*lead, ...]
    loss: torch.Tensor  # [*lead]
    step: torch.Tensor  # [*lead], after how many steps
    waited: torch.Tensor  # [*lead], evaluations since the last improvement

    def running(self, patience: int) -> torch.Tensor:
        """The mask of slices that improved within the last `patience` evaluations, [*lead]."""
        return self.waited < patience

    def ended(self, patience: int) -> TrainedUntil:
        """How training ended."""
        return TrainedUntil(self.step.float(), self.loss, self.running(patience).float())


def first_best(params: Params, loss: torch.Tensor) -> Best:
    """The initial parameters, with their held-out loss."""
    zeros = torch.zeros_like(loss, dtype=torch.int64)
    return Best(fast_layout(clone(params)), loss.clone(), zeros, zeros.clone())


def keep_best_(best: Best, params: Params, loss: torch.Tensor, step: int, patience: int) -> Best:
    """The best after another evaluation, at `step`; slices that waited `patience` evaluations never change again.

    A slice's result does not depend on how long the others are trained. The parameters are updated in place.
    """
    running = best.running(patience)
    better = running & (loss < best.loss - LEAST)

    def select(old: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
        return old.copy_(torch.where(better.view(*better.shape, *(1,) * (old.dim() - better.dim())), new, old))

    tree_map(select, weights(best.params), weights(params))
    waited = torch.where(better, 0, best.waited + running.long())
    return Best(best.params, torch.where(better, loss, best.loss), torch.where(better, step, best.step), waited)
