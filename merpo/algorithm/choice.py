"""The choice among a task's candidate policies by long rollouts of its model: clone, meta-policy, adapted policies."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from merpo.algorithm.halting import halted
from merpo.algorithm.rollout import clipped
from merpo.components.interfaces import DynamicsLearner
from merpo.components.task_data import TaskData
from merpo.lazy import torch
from merpo.nn.noise import Streams
from merpo.nn.params import clone, stack, tree_map
from merpo.nn.policy import act
from merpo.types import Params, Units

__all__ = ["Choice", "ModelReturns", "choose", "model_returns"]

STARTS = 64  # rollouts per task and policy
UNKNOWN = 0.1  # share of steps outside of what the model knows, above which its returns say nothing of a policy


class Choice(NamedTuple):
    """The chosen policy of every task, and the candidates' returns in the task's model."""

    policy: Params  # [T, ...]
    candidates: tuple[int, ...]  # names: after how many steps
    position: torch.Tensor  # [T], of the candidates in their order
    returns: ModelReturns  # [candidate, T] each, means over rollouts, in the data's units of reward


class ModelReturns(NamedTuple):
    """Returns in the tasks' models, which differ in what happens where a model is not to be trusted (`halted`)."""

    cautious: torch.Tensor  # from there on every step earns the worst episode's return over the longest one's length
    plain: torch.Tensor  # the model is trusted everywhere
    unknown: torch.Tensor  # share of the steps at which the model is not to be trusted


def model_returns(
    dynamics: DynamicsLearner,
    models: Params,
    policy: Params,
    data: TaskData,
    noise: Streams,
    units: Units | None = None,
) -> ModelReturns:
    """Returns of the policies' modes from starts of the data, over the length of its longest episode, [T, B] each."""
    observations, worst, horizons = _starts(data)
    alive = torch.ones_like(observations[..., 0])
    plain, cautious, known = torch.zeros_like(alive), torch.zeros_like(alive), torch.ones_like(alive)
    steps, unknown_steps = torch.zeros_like(alive), torch.zeros_like(alive)
    with torch.no_grad():
        for step in range(int(horizons.max())):
            alive = alive * (step < horizons)[:, None]
            actions = act(policy, observations)
            unknown = halted(dynamics, models, observations, actions)
            steps = steps + alive
            if unknown is not None:
                unknown_steps = unknown_steps + alive * unknown
                cautious = cautious + alive * known * unknown * (worst * (horizons - step))[:, None]
                known = known * ~unknown
            following, rewards, ended = dynamics.step(models, data.spec, observations, actions, noise)
            if units is not None:
                following, rewards = clipped(following, rewards, units)
            plain, cautious = plain + alive * rewards, cautious + alive * known * rewards
            alive = alive * (1.0 - ended)
            observations = following
    return ModelReturns(cautious, plain, unknown_steps / steps)


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
    in states that the task's data lacks, where it may have learnt from other tasks. Policies that are there at more
    than a tenth of their steps, and at more than the meta-policy, are no candidates. All see the same random numbers;
    they are policies [T, ...] of equal shapes.
    """
    state = [generator.get_state() for generator in noise.generators]
    found = []
    for policy in candidates.values():
        for generator, begin in zip(noise.generators, state, strict=True):
            generator.set_state(begin)
        found.append(tree_map(lambda x: x.mean(1), model_returns(dynamics, models, policy, data, noise, units)))
    returns = stack(found)  # [candidate, T] each
    cautious, plain, unknown = returns
    better = (cautious > cautious[0]) & (plain > plain[0]) & (unknown <= unknown[0].clamp(min=UNKNOWN))
    position = (cautious + plain).masked_fill(~better, -math.inf).argmax(0)  # the first where there is no better one
    position = position * better.any(0)
    tasks = torch.arange(data.n_tasks, device=position.device)
    chosen = tree_map(lambda *leaves: torch.stack(leaves)[position, tasks], *candidates.values())
    return Choice(clone(chosen), tuple(candidates), position, returns)


def _starts(data: TaskData) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """First observations of episodes, repeated in turn [T, B, O]; the worst return per step, and the longest [T].

    The worst return is divided by the longest length, so that an early end is worse than a slow loss.
    """
    first, worst, longest = [], [], []
    for task in range(data.n_tasks):
        rows, offsets = data.in_order(task)
        begins = rows.observations[offsets[:-1]]
        first.append(begins[torch.arange(STARTS) % len(begins)])
        sums = torch.cat([rows.rewards.new_zeros(1), rows.rewards.cumsum(0)])
        longest.append(offsets.diff().amax().to(rows.rewards.device))
        worst.append((sums[offsets[1:]] - sums[offsets[:-1]]).amin() / longest[-1])
    return torch.stack(first), torch.stack(worst), torch.stack(longest)
