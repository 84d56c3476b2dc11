"""Returns of policies in the tasks' models: rollouts as long as the data's episodes."""

from __future__ import annotations

from typing import NamedTuple

from merpo.algorithm.halting import halted
from merpo.algorithm.rollout import clipped
from merpo.components.interfaces import DynamicsLearner
from merpo.components.task_data import TaskData
from merpo.lazy import torch
from merpo.nn.noise import Streams
from merpo.nn.policy import act
from merpo.types import Params, Units

__all__ = ["STARTS", "ModelReturns", "model_returns"]

STARTS = 64  # rollouts per task and policy


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
    drawn: bool = False,
) -> ModelReturns:
    """Returns from starts of the data, over the length of its longest episode, [T, B] each.

    They are those of the policies' modes, or of their `drawn` actions.
    """
    observations, worst, horizons = _starts(data)
    alive = torch.ones_like(observations[..., 0])
    plain, cautious, known = torch.zeros_like(alive), torch.zeros_like(alive), torch.ones_like(alive)
    steps, unknown_steps = torch.zeros_like(alive), torch.zeros_like(alive)
    with torch.no_grad():
        for step in range(int(horizons.max())):
            alive = alive * (step < horizons)[:, None]
            actions = act(policy, observations, noise.normal(STARTS, data.spec.action_dim) if drawn else None)
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
