"""Hypothesis strategies for small datasets."""

from __future__ import annotations

import torch
from hypothesis import settings
from hypothesis import strategies as st

from merpo.data.dataset import TaskDataset
from merpo.types import Spec

# No deadline per example: the first one includes imports and memory maps, and would fail at random.
settings.register_profile("merpo", deadline=None)
settings.load_profile("merpo")

SEEDS = st.integers(0, 2**31 - 1)


def make_dataset(
    lengths: list[int], ends: list[bool], observation_dim: int, action_dim: int, seed: int = 0, scale: float = 1.0
) -> TaskDataset:
    """A valid dataset with episodes of the given lengths; episode e is terminated if `ends[e]`, else truncated."""
    generator = torch.Generator().manual_seed(seed)
    rows = sum(lengths)
    offsets = torch.tensor([0, *lengths]).cumsum(0)
    terminations, truncations = torch.zeros(rows), torch.zeros(rows)
    terminations[offsets[1:] - 1] = torch.tensor(ends, dtype=torch.float32)
    truncations[offsets[1:] - 1] = 1.0 - torch.tensor(ends, dtype=torch.float32)
    return TaskDataset(
        observations=scale * torch.randn(rows, observation_dim, generator=generator),
        actions=2.0 * torch.rand(rows, action_dim, generator=generator) - 1.0,
        rewards=scale * torch.randn(rows, generator=generator),
        next_observations=scale * torch.randn(rows, observation_dim, generator=generator),
        terminations=terminations,
        truncations=truncations,
        episode_offsets=offsets,
        task={"wind": [0.25, -0.5], "seed": seed},
        name=f"task-{seed}",
    )


@st.composite
def task_datasets(
    draw: st.DrawFn, observation_dim: int | None = None, action_dim: int | None = None, min_rows: int = 1
) -> TaskDataset:
    """Valid datasets of one to five short episodes; dims are drawn by default."""
    lengths = draw(st.lists(st.integers(1, 6), min_size=1, max_size=5).filter(lambda x: sum(x) >= min_rows))
    ends = draw(st.lists(st.booleans(), min_size=len(lengths), max_size=len(lengths)))
    observations = draw(st.integers(1, 4)) if observation_dim is None else observation_dim
    actions = draw(st.integers(1, 3)) if action_dim is None else action_dim
    return make_dataset(lengths, ends, observations, actions, draw(SEEDS), draw(st.sampled_from([1e-20, 1.0, 1e6])))


@st.composite
def task_collections(draw: st.DrawFn, min_rows: int = 1) -> tuple[list[TaskDataset], Spec]:
    """One to four datasets of different sizes, with a common spec."""
    spec = Spec(draw(st.integers(1, 4)), draw(st.integers(1, 3)))
    one = task_datasets(spec.observation_dim, spec.action_dim, min_rows)
    return draw(st.lists(one, min_size=1, max_size=4)), spec
