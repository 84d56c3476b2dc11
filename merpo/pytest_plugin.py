"""Pytest fixtures for the tests of plugins, registered by an entry point; merpo is imported when they are used.

`tiny_tasks` is a method's input, `tiny_dataset` one task's stored data, and `merpo_runner` calls `merpo`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from merpo.components.task_data import TaskData
    from merpo.data.dataset import TaskDataset
    from merpo.testing.runner import MerpoRunner

__all__ = ["merpo_runner", "tiny_dataset", "tiny_tasks"]


@pytest.fixture
def tiny_dataset() -> TaskDataset:
    """One task's dataset: 60 transitions in 6 episodes, observation dim 3, action dim 2. The same at every call."""
    from merpo.testing.inputs import tiny_datasets

    return tiny_datasets(1)[0]


@pytest.fixture
def tiny_tasks() -> TaskData:
    """Three tasks of 60 transitions each, stacked: an input of `Method.fit` and `Method.adapt`."""
    from merpo.data.dataset import stack_tasks
    from merpo.testing.inputs import tiny_datasets, tiny_spec

    return stack_tasks(tiny_datasets(3), tiny_spec())


@pytest.fixture
def merpo_runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MerpoRunner:
    """`merpo_runner("run", recipe)`: the command line, with a folder and a data store private to the test."""
    from merpo.testing.runner import MerpoRunner

    monkeypatch.setenv("MERPO_DATA", str(tmp_path / "merpo-data"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return MerpoRunner(tmp_path)
