"""`TaskData`, a method's input: the transitions of many tasks in one flat tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from merpo.errors import MerpoError
from merpo.lazy import torch
from merpo.nn.noise import Streams
from merpo.types import Batch, Spec

__all__ = ["Episodes", "TaskData", "from_rows", "no_tasks", "shuffled", "to_rows"]


class Episodes(NamedTuple):
    """The episodes of T tasks, from which the order of their shuffled rows is recovered."""

    offsets: Sequence[
        torch.Tensor
    ]  # [E + 1] per task: episode e is rows offsets[e] to offsets[e + 1] - 1 in time order
    seed: int  # of the shuffle


def shuffled(rows: int, seed: int) -> torch.Tensor:
    """The order in which a task's rows are stored: stored row k is row `order[k]` in time order."""
    return torch.randperm(rows, generator=torch.Generator().manual_seed(seed))


class TaskData(NamedTuple):
    """Rows of T tasks in one flat tensor; task t has rows starts[t] to starts[t] + sizes[t] - 1."""

    rows: torch.Tensor  # [N, 2 O + A + 2]: s, a, r, s', termination
    starts: Sequence[int]
    sizes: Sequence[int]
    spec: Spec
    episodes: Episodes | None = None  # None for a part of the tasks' rows

    @property
    def n_tasks(self) -> int:
        """The number of tasks, T."""
        return len(self.starts)

    def select(self, index: Sequence[int]) -> TaskData:
        """The data of some of the tasks; nothing is copied."""
        episodes = self.episodes and self.episodes._replace(offsets=[self.episodes.offsets[i] for i in index])
        starts, sizes = tuple(self.starts[i] for i in index), tuple(self.sizes[i] for i in index)
        return self._replace(starts=starts, sizes=sizes, episodes=episodes)

    def split(self, fraction: float) -> tuple[TaskData, TaskData]:
        """(training, held-out) rows of every task; rows are in random order since stacking."""
        held = tuple(max(1, int(size * fraction)) for size in self.sizes)
        kept = tuple(size - h for size, h in zip(self.sizes, held, strict=True))
        rest = tuple(start + k for start, k in zip(self.starts, kept, strict=True))
        return self._replace(sizes=kept, episodes=None), self._replace(starts=rest, sizes=held, episodes=None)

    def in_order(self, task: int) -> tuple[Batch, torch.Tensor]:
        """A copy of one task's rows in time order, a batch [N, ...], and the offsets of its episodes [E + 1].

        Raises `MerpoError` if the order is not known.
        """
        if self.episodes is None:
            raise MerpoError("the rows' order in time is not known: the data is a part of the tasks' rows")
        start, size = self.starts[task], self.sizes[task]
        order = shuffled(size, self.episodes.seed).argsort().to(self.rows.device)
        rows = self.rows[start : start + size].index_select(0, order)
        return from_rows(rows, self.spec), self.episodes.offsets[task]

    def sample(self, noise: Streams, *shape: int) -> Batch:
        """Independent rows of every task, drawn with replacement: a batch [T, *shape, ...]."""
        index = noise.integers(self.sizes, *shape, offset=self.starts)  # [T, *shape]
        rows = self.rows.index_select(0, index.flatten()).view(*index.shape, -1)
        return from_rows(rows, self.spec)

    def context(self, noise: Streams, count: int) -> Batch:
        """`count` random rows of every task, such as an encoder's context: a batch [T, count, ...].

        No row repeats before all of the task's rows have been drawn. Independent of the other tasks' sizes.
        """
        index = noise.subsets(self.sizes, count) + torch.tensor(self.starts, device=noise.device)[:, None]
        rows = self.rows.index_select(0, index.flatten()).view(*index.shape, -1)
        return from_rows(rows, self.spec)

    def all_rows(self) -> tuple[Batch, torch.Tensor]:
        """All rows of every task as a batch [T, N, ...], with N the largest task's number, and the mask [T, N].

        The mask is 1 for a row and 0 for the padding after a smaller task's rows.
        """
        most = max(self.sizes)
        rows = self.rows.new_zeros(self.n_tasks, most, self.rows.shape[-1])
        mask = self.rows.new_zeros(self.n_tasks, most)
        for task, (start, size) in enumerate(zip(self.starts, self.sizes, strict=True)):
            rows[task, :size], mask[task, :size] = self.rows[start : start + size], 1.0
        return from_rows(rows, self.spec), mask

    def first(self, count: int) -> Batch:
        """The first `count` rows of every task, or as many as the smallest task has: a batch [T, B, ...].

        Only for logs. Training must not depend on another task's size: use `sample`, `context` or `all_rows`.
        """
        count = min(count, *self.sizes)
        return from_rows(torch.stack([self.rows[start : start + count] for start in self.starts]), self.spec)


def to_rows(batch: Batch) -> torch.Tensor:
    """A batch as rows [*lead, B, 2 O + A + 2]."""
    r, d = batch.rewards.unsqueeze(-1), batch.terminations.unsqueeze(-1)
    return torch.cat([batch.observations, batch.actions, r, batch.next_observations, d], dim=-1)


def from_rows(rows: torch.Tensor, spec: Spec) -> Batch:
    """The inverse of `to_rows`; views, not copies."""
    o, a = spec.observation_dim, spec.action_dim
    s, u, r, s2, d = torch.split(rows, [o, a, 1, o, 1], dim=-1)
    return Batch(s, u, r.squeeze(-1), s2, d.squeeze(-1))


def no_tasks(spec: Spec, device: str = "cpu") -> TaskData:
    """Data of T = 0 tasks, for methods without meta-training."""
    width = 2 * spec.observation_dim + spec.action_dim + 2
    return TaskData(torch.zeros(0, width, device=device), (), (), spec)
