"""The task that a saved policy is for, as the header of its file has it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated

from pydantic import AfterValidator, Field

from merpo.data.data_units import DataUnits, data_units
from merpo.data.manifest import Manifest
from merpo.errors import DatasetError
from merpo.support.files import plain
from merpo.support.paths import is_name
from merpo.support.read import FileKind
from merpo.types import Task

__all__ = ["TaskName", "check_units", "parse_tasks", "task_header", "task_name"]

_KIND = FileKind("the tasks of saved policies")


def _plain_name(text: str) -> str:
    """A task's name, which may become the path of a file: that of a dataset, or `collection/dataset`."""
    parts = text.split("/")
    if len(parts) > 2 or not all(map(is_name, parts)):
        raise ValueError("expected the name of a dataset: letters, digits, '.', '_', '+' and '-'")
    return text


def _plain_task(params: Task) -> Task:
    try:
        return plain(params)
    except DatasetError as error:  # NaN and infinity, which JSON does not have
        raise ValueError(str(error)) from None


@dataclass(frozen=True)
class TaskName:
    """The task that a policy is for, and what its numbers mean in the task's data; None in files of older versions."""

    name: Annotated[str, AfterValidator(_plain_name)]
    index: Annotated[int, Field(ge=0, lt=1_000_000_000)]
    params: Annotated[Task, AfterValidator(_plain_task)]
    units: DataUnits | None = None


def task_name(name: str, manifest: Manifest) -> TaskName:
    """The task of a dataset called `name`; raises `DatasetError` for a manifest with odd bounds of actions."""
    try:
        return TaskName(name, manifest.task_index, manifest.task, data_units(manifest))
    except DatasetError as error:
        raise DatasetError(f"{name}: {error}") from None


def task_header(tasks: Sequence[TaskName]) -> str:
    """The header entry with the tasks of an artifact's policies."""
    return json.dumps([asdict(task) for task in tasks], sort_keys=True)


def parse_tasks(text: str, place: object) -> tuple[TaskName, ...]:
    """The tasks in a header entry; raises `ArtifactError` for names that are none, and for tasks that are no tasks."""
    tasks = tuple(_KIND.parse_model(text, place, list[TaskName]))
    if len({task.index for task in tasks}) < len(tasks):
        _KIND.refuse(place, "two have the same index", "different ones")
    return tasks


def check_units(tasks: Sequence[TaskName], action_dim: int, place: object) -> None:
    """Raise `ArtifactError` for bounds of actions that are not one per dimension, or enclose nothing."""
    for units in (task.units for task in tasks if task.units is not None):
        low, high = units.action_low, units.action_high
        if not len(low) == len(high) == action_dim or any(a >= b for a, b in zip(low, high, strict=True)):
            _KIND.refuse(place, f"action bounds are {low!s:.80} and {high!s:.80}", f"{action_dim} each, low below high")
