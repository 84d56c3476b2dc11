"""Offline data: one task's arrays as they are stored, and many tasks' rows as training reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from merpo.errors import DatasetError
from merpo.lazy import torch
from merpo.noise import Streams
from merpo.types import Batch, Spec, Task

__all__ = ["TaskData", "TaskDataset", "no_tasks", "stack_tasks"]


@dataclass(frozen=True)
class TaskDataset:
    """One task's N transitions in E episodes, float32 but for `episode_offsets` (int64); actions are in [-1, 1]."""

    observations: torch.Tensor  # [N, O]
    actions: torch.Tensor  # [N, A]
    rewards: torch.Tensor  # [N]
    next_observations: torch.Tensor  # [N, O]
    terminations: torch.Tensor  # [N], 1.0 where the episode truly ended
    truncations: torch.Tensor  # [N], 1.0 where it was cut by time
    episode_offsets: torch.Tensor  # [E + 1], episode e is rows offsets[e] to offsets[e + 1]
    task: Task = field(default_factory=dict)
    name: str = "dataset"

    def __len__(self) -> int:
        return self.rewards.shape[0]

    def episode_returns(self) -> torch.Tensor:
        """Undiscounted return of every episode [E]."""
        total = torch.cat([self.rewards.new_zeros(1), self.rewards.double().cumsum(0)])
        return (total[self.episode_offsets[1:]] - total[self.episode_offsets[:-1]]).float()


def concatenate(parts: Sequence[TaskDataset]) -> TaskDataset:
    """Datasets of one task, one after the other; task and name are the first one's."""
    first = parts[0]
    arrays = ("observations", "actions", "rewards", "next_observations", "terminations", "truncations")
    offsets, total = [first.episode_offsets], len(first)
    for part in parts[1:]:
        offsets.append(part.episode_offsets[1:] + total)
        total += len(part)
    joined = {key: torch.cat([getattr(part, key) for part in parts]) for key in arrays}
    return TaskDataset(**joined, episode_offsets=torch.cat(offsets), task=first.task, name=first.name)


class TaskData(NamedTuple):
    """Rows of T tasks in one flat tensor; task t owns rows starts[t] to starts[t] + sizes[t]."""

    rows: torch.Tensor  # [N, 2 O + A + 2]: s, a, r, s', termination
    starts: Sequence[int]
    sizes: Sequence[int]
    spec: Spec

    @property
    def n_tasks(self) -> int:
        """T."""
        return len(self.starts)

    def select(self, index: Sequence[int]) -> TaskData:
        """The same rows seen by some of the tasks; nothing is copied."""
        return self._replace(starts=tuple(self.starts[i] for i in index), sizes=tuple(self.sizes[i] for i in index))

    def split(self, fraction: float) -> tuple[TaskData, TaskData]:
        """(training, held-out) rows of every task; rows were shuffled when they were stacked."""
        held = tuple(max(1, int(size * fraction)) for size in self.sizes)
        kept = tuple(size - h for size, h in zip(self.sizes, held, strict=True))
        rest = tuple(start + k for start, k in zip(self.starts, kept, strict=True))
        return self._replace(sizes=kept), self._replace(starts=rest, sizes=held)

    def sample(self, noise: Streams, *shape: int) -> Batch:
        """Independent rows of every task, drawn with replacement: a batch [T, *shape, ...]."""
        index = noise.integers(self.sizes, *shape, offset=self.starts)  # [T, *shape]
        rows = self.rows.index_select(0, index.flatten()).view(*index.shape, -1)
        return unpack(rows, self.spec)

    def first(self, count: int) -> Batch:
        """The first rows of every task (at most `count`, and equally many for all): a batch [T, B, ...]."""
        count = min(count, *self.sizes)
        return unpack(torch.stack([self.rows[start : start + count] for start in self.starts]), self.spec)


def pack(batch: Batch) -> torch.Tensor:
    """A batch as rows [*lead, B, 2 O + A + 2]."""
    r, d = batch.rewards.unsqueeze(-1), batch.terminations.unsqueeze(-1)
    return torch.cat([batch.observations, batch.actions, r, batch.next_observations, d], dim=-1)


def unpack(rows: torch.Tensor, spec: Spec) -> Batch:
    """The inverse of `pack`; views, not copies."""
    o, a = spec.observation_dim, spec.action_dim
    s, u, r, s2, d = torch.split(rows, [o, a, 1, o, 1], dim=-1)
    return Batch(s, u, r.squeeze(-1), s2, d.squeeze(-1))


def no_tasks(spec: Spec, device: str = "cpu") -> TaskData:
    """T = 0, for methods that learn from no training task."""
    width = 2 * spec.observation_dim + spec.action_dim + 2
    return TaskData(torch.zeros(0, width, device=device), (), (), spec)


def stack_tasks(datasets: Sequence[TaskDataset], spec: Spec, seed: int = 0, device: str = "cpu") -> TaskData:
    """Datasets of several tasks as one `TaskData`, each task's rows shuffled once with `seed`.

    Raises `DatasetError` if there is none or a dataset's dims are not the family's.
    """
    if not datasets:
        raise DatasetError("no datasets: at least one task is needed")
    blocks, starts, start = [], [], 0
    for data in datasets:
        dims = (data.observations.shape[-1], data.actions.shape[-1])
        if dims != (spec.observation_dim, spec.action_dim):
            expected = (spec.observation_dim, spec.action_dim)
            raise DatasetError(f"{data.name}: (observation, action) dims are {dims}, expected {expected}")
        batch = Batch(data.observations, data.actions, data.rewards, data.next_observations, data.terminations)
        order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))
        blocks.append(pack(batch)[order])
        starts.append(start)
        start += len(data)
    return TaskData(torch.cat(blocks).to(device), tuple(starts), tuple(len(d) for d in datasets), spec)
