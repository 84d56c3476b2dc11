"""Offline datasets: the stored arrays of one task, and their conversion to rows of several tasks for training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from merpo.components.task_data import Episodes, TaskData, shuffled, to_rows
from merpo.errors import DatasetError
from merpo.lazy import torch
from merpo.types import Batch, Spec, Task

__all__ = ["TaskDataset", "stack_tasks"]


@dataclass(frozen=True)
class TaskDataset:
    """One task's N transitions in E episodes, float32 except `episode_offsets` (int64); actions are in [-1, 1]."""

    observations: torch.Tensor  # [N, O]
    actions: torch.Tensor  # [N, A]
    rewards: torch.Tensor  # [N]
    next_observations: torch.Tensor  # [N, O]
    terminations: torch.Tensor  # [N], 1.0 where the environment ended the episode
    truncations: torch.Tensor  # [N], 1.0 where the time limit ended it
    episode_offsets: torch.Tensor  # [E + 1], episode e is rows offsets[e] to offsets[e + 1]
    task: Task = field(default_factory=dict)
    name: str = "dataset"

    def __len__(self) -> int:
        return self.rewards.shape[0]

    def episode_returns(self) -> torch.Tensor:
        """Undiscounted return of every episode [E]."""
        total = torch.zeros(len(self) + 1, dtype=torch.float64, device=self.rewards.device)
        torch.cumsum(self.rewards, 0, dtype=torch.float64, out=total[1:])
        return (total[self.episode_offsets[1:]] - total[self.episode_offsets[:-1]]).float()


def concatenate_datasets(parts: Sequence[TaskDataset]) -> TaskDataset:
    """Concatenate datasets of one task; task and name are those of the first."""
    first = parts[0]
    arrays = ("observations", "actions", "rewards", "next_observations", "terminations", "truncations")
    offsets, total = [first.episode_offsets], len(first)
    for part in parts[1:]:
        offsets.append(part.episode_offsets[1:] + total)
        total += len(part)
    joined = {key: torch.cat([getattr(part, key) for part in parts]) for key in arrays}
    return TaskDataset(**joined, episode_offsets=torch.cat(offsets), task=first.task, name=first.name)


def stack_tasks(
    datasets: Sequence[TaskDataset], spec: Spec, seed: int = 0, device: str = "cpu", largest_action: float = 1.0
) -> TaskData:
    """The datasets of several tasks as one `TaskData`, each task's rows shuffled once with `seed`.

    Actions are clipped to ± `largest_action`.

    Raises `DatasetError` if `datasets` is empty or a dataset's dims differ from `spec`.
    """
    if not datasets:
        raise DatasetError("no datasets: at least one task is needed")
    blocks, starts, start = [], [], 0
    for data in datasets:
        dims = (data.observations.shape[-1], data.actions.shape[-1])
        if dims != (spec.observation_dim, spec.action_dim):
            expected = (spec.observation_dim, spec.action_dim)
            raise DatasetError(f"{data.name}: (observation, action) dims are {dims}, expected {expected}")
        actions = data.actions.clamp(-largest_action, largest_action)
        batch = Batch(data.observations, actions, data.rewards, data.next_observations, data.terminations)
        blocks.append(to_rows(batch)[shuffled(len(data), seed)])
        starts.append(start)
        start += len(data)
    episodes = Episodes([data.episode_offsets for data in datasets], seed)
    spec = spec._replace(has_terminations=any(bool(data.terminations.any()) for data in datasets))
    return TaskData(torch.cat(blocks).to(device), tuple(starts), tuple(len(d) for d in datasets), spec, episodes)
