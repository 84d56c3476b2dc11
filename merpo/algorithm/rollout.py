"""Algorithm 1, line 3: rollouts of the learnt model, and the buffer D_model of their rows."""

from __future__ import annotations

from typing import NamedTuple

from merpo.algorithm.halting import VALUE, halted
from merpo.components.interfaces import DynamicsLearner
from merpo.components.task_data import TaskData, from_rows, to_rows
from merpo.lazy import torch
from merpo.nn.noise import Streams
from merpo.nn.params import flat_index, take
from merpo.nn.policy import act
from merpo.types import Batch, Params, Spec, Units

__all__ = [
    "ModelBuffer",
    "append",
    "clipped",
    "drawn_rows",
    "empty_buffer",
    "penalised_reward",
    "roll_out",
    "sample_buffer",
]


class ModelBuffer(NamedTuple):
    """Ring buffer of the most recent rows of D_model of T tasks."""

    rows: torch.Tensor  # [T, capacity, 2 O + A + 2]
    written: torch.Tensor  # [T], rows written so far, overwritten ones included


def empty_buffer(spec: Spec, tasks: int, capacity: int, device: torch.device | str) -> ModelBuffer:
    """An empty buffer of `capacity` rows per task."""
    width = 2 * spec.observation_dim + spec.action_dim + 2
    return ModelBuffer(
        torch.zeros(tasks, capacity, width, device=device), torch.zeros(tasks, dtype=torch.int64, device=device)
    )


def append(buffer: ModelBuffer, rows: torch.Tensor) -> ModelBuffer:
    """The buffer with `rows` [T, B, D] written over the oldest, in place: do not use the argument afterwards."""
    capacity, count = buffer.rows.shape[1], rows.shape[1]
    rows = rows[:, -capacity:]
    start = buffer.written + (count - rows.shape[1])
    slots = (start[:, None] + torch.arange(rows.shape[1], device=rows.device)) % capacity
    flat = buffer.rows.view(-1, buffer.rows.shape[-1])
    flat.index_copy_(0, flat_index(buffer.rows, slots), rows.flatten(0, 1))
    return ModelBuffer(buffer.rows, buffer.written + count)


def sample_buffer(buffer: ModelBuffer, noise: Streams, count: int, spec: Spec) -> Batch:
    """`count` written rows of each task, drawn uniformly: [T, B, ...]."""
    index = drawn_rows(noise.uniform(count), buffer.written.clamp(max=buffer.rows.shape[1]))
    return from_rows(take(buffer.rows, index), spec)


def drawn_rows(numbers: torch.Tensor, written: torch.Tensor) -> torch.Tensor:
    """Rows 0 to `written` [T] − 1 of every task by uniform numbers [T, B] in [0, 1): [T, B]."""
    return (numbers * written[:, None]).long()


def penalised_reward(rewards: torch.Tensor, uncertainty: torch.Tensor, penalty: float) -> torch.Tensor:
    """MOPO (Yu et al., 2020), the uncertainty-penalised MDP: r̃(s, a) = r̂(s, a) − λ u(s, a), every term [T, B]."""
    return rewards - penalty * uncertainty


def clipped(following: torch.Tensor, rewards: torch.Tensor, units: Units) -> tuple[torch.Tensor, torch.Tensor]:
    """Predicted next observations [..., O] and rewards [...] within the ranges of the training tasks' data."""
    following = torch.maximum(torch.minimum(following, units.observation_high), units.observation_low)
    return following, torch.maximum(torch.minimum(rewards, units.reward_high), units.reward_low)


def roll_out(
    dynamics: DynamicsLearner,
    models: Params,
    policy: Params,
    data: TaskData,
    noise: Streams,
    count: int,
    length: int,
    penalty: float = 0.0,
    within: Units | None = None,
) -> torch.Tensor:
    """Rows [T, count · length, D] of `count` rollouts per task from states of D_n, each following π for `length` steps.

    A rollout that terminates restarts from another state of D_n, so that every step gives `count` rows.
    `penalty` times the model's uncertainty is subtracted from every reward. Predictions are clipped to the ranges in
    `within`: policies would seek out what a model extrapolates to.
    """
    spec, rows = data.spec, []
    with torch.no_grad():
        observations = data.sample(noise, count).observations
        for step in range(length):
            actions = act(policy, observations, noise.normal(count, spec.action_dim))
            following, rewards, ended = dynamics.step(models, spec, observations, actions, noise)
            if within is not None:
                following, rewards = clipped(following, rewards, within)
            unknown = halted(dynamics, models, observations, actions)
            if unknown is not None:
                rewards = torch.where(unknown, models[VALUE], rewards)
                ended = torch.maximum(ended, unknown.to(ended.dtype))
            if penalty > 0:
                rewards = penalised_reward(rewards, dynamics.uncertainty(models, observations, actions), penalty)
            rows.append(to_rows(Batch(observations, actions, rewards, following, ended)))
            if step + 1 < length:
                fresh = data.sample(noise, count).observations
                observations = torch.where(ended[..., None] > 0, fresh, following)
    return torch.cat(rows, dim=1)
