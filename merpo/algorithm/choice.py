"""The choice among a task's candidate policies by long rollouts of its model: clone, meta-policy, adapted policies."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from merpo.algorithm.calibration import calibration
from merpo.algorithm.model_returns import ModelReturns, model_returns
from merpo.components.interfaces import DynamicsLearner
from merpo.components.task_data import TaskData
from merpo.lazy import torch
from merpo.nn.noise import Streams
from merpo.nn.params import clone, stack, tree_map
from merpo.types import Params, Units

__all__ = ["CLONE", "Choice", "choose"]

CLONE = -1  # the clone's name among the candidates
UNKNOWN = 0.1  # share of steps outside of what the model knows, above which its returns say nothing of a policy
MARGIN = 0.5  # by how many times the model's error about returns a policy must be better than the clone


class Choice(NamedTuple):
    """The chosen policy of every task, and the candidates' returns in the task's model."""

    policy: Params  # [T, ...]
    candidates: tuple[int, ...]  # names: after how many steps
    position: torch.Tensor  # [T], of the candidates in their order
    returns: ModelReturns  # [candidate, T] each, means over rollouts, in the data's units of reward


def choose(
    dynamics: DynamicsLearner,
    models: Params,
    candidates: Mapping[int, Params],
    data: TaskData,
    noise: Streams,
    units: Units | None = None,
) -> Choice:
    """For every task the first candidate, unless others have a higher return in its model, cautious *and* plain.

    Of those the one with the highest sum of both. The first is the meta-policy: the model does not know what it earns
    in states that the task's data lacks, where it may have learnt from other tasks. It gives way to the clone, if there
    is one, unless it is better by half of what the model errs about the returns of the data (`calibration`); policies
    that are compared with the clone must be, too. Policies that are where the model is not to be trusted at more than a
    tenth of their steps, and at more than what they are compared with, are no candidates. All see the same random
    numbers; they are policies [T, ...] of equal shapes.
    """
    state = [generator.get_state() for generator in noise.generators]

    def restart() -> Streams:
        for generator, begin in zip(noise.generators, state, strict=True):
            generator.set_state(begin)
        return noise

    found = [
        tree_map(lambda x: x.mean(1), model_returns(dynamics, models, policy, data, restart(), units))
        for policy in candidates.values()
    ]
    returns, names = stack(found), tuple(candidates)  # [candidate, T] each
    reference = torch.zeros_like(returns.plain[0], dtype=torch.int64)  # the first
    margin = torch.zeros_like(returns.plain[0])
    if CLONE in names:
        error = calibration(dynamics, models, candidates[CLONE], data, restart(), units).error
        of_clone = torch.full_like(reference, names.index(CLONE))
        first_stays = _better(returns, of_clone, MARGIN * error)[0]
        reference = torch.where(first_stays, reference, of_clone)
        margin = torch.where(first_stays, margin, MARGIN * error)
    better = _better(returns, reference, margin)
    best = (returns.cautious + returns.plain).masked_fill(~better, -math.inf).argmax(0)
    position = torch.where(better.any(0), best, reference)
    tasks = torch.arange(data.n_tasks, device=position.device)
    chosen = tree_map(lambda *leaves: torch.stack(leaves)[position, tasks], *candidates.values())
    return Choice(clone(chosen), names, position, returns)


def _better(returns: ModelReturns, reference: torch.Tensor, margin: torch.Tensor) -> torch.Tensor:
    """The mask [candidate, T] of policies that are better than the `reference` [T] by more than `margin` [T]."""
    cautious, plain, unknown = (x - x.gather(0, reference[None]) for x in returns)
    known = (unknown <= 0) | (returns.unknown <= UNKNOWN)
    return (cautious > margin) & (plain > margin) & known
