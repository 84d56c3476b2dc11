"""Datasets of random transitions in a temporary store, in the format of collection."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from merpo.data.dataset import TaskDataset
from merpo.data.places import collection_path, store_root
from merpo.data.store import write_dataset
from merpo.types import Task

__all__ = ["LENGTH", "own_store", "store_tasks"]

COLLECTION = "random"
LENGTH = 200  # steps per episode, as in the paper's suites


@contextmanager
def own_store() -> Iterator[Path]:
    """A temporary data store, deleted after the block."""
    before = os.environ.get("MERPO_DATA")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MERPO_DATA"] = folder
        try:
            yield Path(folder)
        finally:
            if before is None:
                del os.environ["MERPO_DATA"]
            else:
                os.environ["MERPO_DATA"] = before


def store_tasks(family: str, tasks: Sequence[Task], rows: int, observation_dim: int, action_dim: int) -> list[str]:
    """Store `task-000`, ..., each with `rows` transitions in episodes of 200 steps; returns the names for a recipe."""
    folder = collection_path(store_root(), COLLECTION)
    for index, task in enumerate(tasks):
        data = replace(_random(rows, observation_dim, action_dim, index), task=task)
        write_dataset(
            folder, f"task-{index:03d}", data, family=family, family_settings={}, task_index=index, quality="medium",
            step=0, return_mean=0.0, return_std=0.0, seed=0, settings={},
        )  # fmt: skip
    return [f"store:{COLLECTION}/task-{index:03d}" for index in range(len(tasks))]


def _random(rows: int, observation_dim: int, action_dim: int, seed: int) -> TaskDataset:
    g = torch.Generator().manual_seed(seed)
    states = torch.randn(rows, observation_dim, generator=g)
    following = states + 0.1 * torch.randn(rows, observation_dim, generator=g)
    actions = torch.randn(rows, action_dim, generator=g).tanh()
    rewards = torch.randn(rows, generator=g)
    cuts = torch.zeros(rows)
    cuts[LENGTH - 1 :: LENGTH] = 1.0
    offsets = torch.arange(0, rows + 1, LENGTH)
    return TaskDataset(states, actions, rewards, following, torch.zeros(rows), cuts, offsets)
