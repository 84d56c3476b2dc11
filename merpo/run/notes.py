"""Notes of a run, told before training: what its recipe cannot have, and what a reader of its results must know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from merpo.artifacts.differences import differences
from merpo.components.interfaces import TaskFamily
from merpo.data.dataset import TaskDataset
from merpo.data.manifest import Manifest
from merpo.recipe.recipe import Recipe
from merpo.support.files import plain

__all__ = ["notes_on_data", "notes_on_origin", "notes_on_recipe"]

FACTOR = 100.0  # between tasks, of rows or rewards: beyond it one setting for all of them can hardly suit each


def notes_on_recipe(recipe: Recipe, tasks: int | None = None) -> list[str]:
    """What a recipe asks for and cannot have with so many training `tasks`, by default those that it would collect."""
    if not recipe.method.learns_from_tasks:
        return []
    if tasks is None:
        tasks = None if recipe.data.named else recipe.data.train_tasks
    return [] if tasks is None else list(_clipped(recipe.method.model_dump(), tasks, "method"))


def notes_on_data(recipe: Recipe, train: Sequence[TaskDataset], test: Sequence[TaskDataset]) -> list[str]:
    """What the recipe's data has that results depend on; nothing for a method that learns each task alone."""
    if not recipe.method.learns_from_tasks:
        return []
    notes = []
    if same := sum(any(data.task == other.task for other in train) for data in test):
        notes.append(f"{same} of the {len(test)} test tasks are also training tasks (with data of their own).")
    every = [*train, *test]
    rows = {data.name: float(len(data)) for data in every}
    rewards = {data.name: float(data.rewards.double().square().mean().sqrt()) for data in every}
    if apart := _apart(rows):
        least, most = apart
        notes.append(
            f"{most} has {rows[most]:,.0f} transitions, {least} {rows[least]:,.0f}: batches have as many rows of every "
            f"task, so those of {least} are seen {rows[most] / rows[least]:,.0f} times as often."
        )
    if apart := _apart({name: size for name, size in rewards.items() if size > 0}):
        least, most = apart
        notes.append(
            f"Rewards of {most} are {rewards[most] / rewards[least]:,.0f} times those of {least} (root mean squares "
            f"{rewards[most]:.3g} and {rewards[least]:.3g}): one reward scale serves all tasks, so those with small "
            "rewards hardly count; scale the rewards of each task before the import."
        )
    return notes


def notes_on_origin(family: TaskFamily, loaded: Sequence[tuple[TaskDataset, Manifest]]) -> list[str]:
    """Which data is of environments with other settings or longer episodes: its returns compare with no others."""
    alike: dict[str, list[str]] = {}
    for data, manifest in loaded:
        if family.has_environment and (why := _other_origin(family, data, manifest)):
            alike.setdefault(why, []).append(data.name)
    return [
        f"{names[0]}{f' and {len(names) - 1} more datasets' * (len(names) > 1)}: {why}, so returns of the data and of "
        "policies are no comparison."
        for why, names in alike.items()
    ]


def _other_origin(family: TaskFamily, data: TaskDataset, manifest: Manifest) -> str:
    """In what a dataset's environments differ from the family's; empty if in nothing that is known."""
    if manifest.family == family.name and manifest.family_settings:
        differing = differences(manifest.family_settings, plain(family.model_dump()), ("seed",))  # which draws tasks
        return f"collected with other settings of {family.name}, {differing}" if differing else ""
    longest = int(data.episode_offsets.diff().max())
    if longest > family.horizon:
        return f"episodes of up to {longest:,} steps, those of {family.name} here have at most {family.horizon:,}"
    return ""


def _clipped(section: Mapping[str, Any], tasks: int, place: str) -> Iterator[str]:
    """A note on every section whose task batch is larger than the number of tasks."""
    for key, value in section.items():
        if isinstance(value, Mapping):
            yield from _clipped(value, tasks, f"{place}.{key}")
        elif key == "task_batch" and isinstance(value, int) and value > tasks and section.get("iterations") != 0:
            many = "is 1 training task" if tasks == 1 else f"are {tasks} training tasks"
            yield f"{place}.{key} is {value}, but there {many}: a batch has all of them."


def _apart(sizes: Mapping[str, float]) -> tuple[str, str] | None:
    """The names with the least and the greatest size, if they are far apart."""
    if not sizes:
        return None
    least, most = min(sizes, key=sizes.__getitem__), max(sizes, key=sizes.__getitem__)
    return (least, most) if sizes[most] >= FACTOR * sizes[least] else None
