"""The choice among a task's candidate policies by long rollouts of its model: clone, meta-policy, adapted policies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from merpo.algorithm.halting import halted
from merpo.algorithm.rollout import clipped
from merpo.components.interfaces import DynamicsLearner
from merpo.components.task_data import TaskData
from merpo.lazy import torch
from merpo.nn.noise import Streams
from merpo.nn.params import clone, tree_map
from merpo.nn.policy import act
from merpo.types import Params, Units

__all__ = ["Choice", "choose", "model_returns"]

STARTS = 64  # rollouts per task and policy


class Choice(NamedTuple):
    """The chosen policy of every task, and the candidates' returns in the task's model."""

    policy: Params  # [T, ...]
    candidates: tuple[int, ...]  # names: after how many steps
    position: torch.Tensor  # [T], of the candidates in their order
    returns: torch.Tensor  # [candidate, T], means over rollouts, in the data's units of reward


def model_returns(
    dynamics: DynamicsLearner,
    models: Params,
    policy: Params,
    data: TaskData,
    noise: Streams,
    units: Units | None = None,
) -> torch.Tensor:
    """Returns of the policies' modes in the tasks' models from starts of the data to its longest episode's end, [T, B].

    Beyond what the model knows (`halted`), each further step earns the worst episode's return over the length of the
    longest.
    """
    observations, worst, horizons = _starts(data)
    total, alive = torch.zeros_like(observations[..., 0]), torch.ones_like(observations[..., 0])
    with torch.no_grad():
        for step in range(int(horizons.max())):
            alive = alive * (step < horizons)[:, None]
            actions = act(policy, observations)
            unknown = halted(dynamics, models, observations, actions)
            if unknown is not None:
                total = total + alive * unknown * (worst * (horizons - step))[:, None]
                alive = alive * ~unknown
            following, rewards, ended = dynamics.step(models, data.spec, observations, actions, noise)
            if units is not None:
                following, rewards = clipped(following, rewards, units)
            total = total + alive * rewards
            alive = alive * (1.0 - ended)
            observations = following
    return total


def choose(
    dynamics: DynamicsLearner,
    models: Params,
    candidates: Mapping[int, Params],
    data: TaskData,
    noise: Streams,
    units: Units | None = None,
) -> Choice:
    """For every task, the candidate with the highest mean return in the task's model; all see the same random numbers.

    Candidates are policies [T, ...] of equal shapes.
    """
    state = [generator.get_state() for generator in noise.generators]
    returns = []
    for policy in candidates.values():
        for generator, begin in zip(noise.generators, state, strict=True):
            generator.set_state(begin)
        returns.append(model_returns(dynamics, models, policy, data, noise, units).mean(1))
    found = torch.stack(returns)
    index = found.argmax(0)
    tasks = torch.arange(data.n_tasks, device=index.device)
    chosen = tree_map(lambda *leaves: torch.stack(leaves)[index, tasks], *candidates.values())
    return Choice(clone(chosen), tuple(candidates), index, found)


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
