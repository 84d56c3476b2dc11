"""The datasets that a recipe without named data needs, and where the store keeps them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from merpo.artifacts.differences import differences
from merpo.components.component import dump_component
from merpo.data.catalog import DatasetEntry
from merpo.data.dataset import TaskDataset
from merpo.data.manifest import Manifest
from merpo.data.named import check_environment, load_named
from merpo.data.places import collection_dir, manifest_path, store_root
from merpo.data.store import read_dataset
from merpo.data.validate import check_datasets
from merpo.errors import DatasetError
from merpo.recipe.recipe import Recipe
from merpo.support.files import fingerprint, plain
from merpo.types import Params, Task

__all__ = ["TaskSource", "behavior_policy", "collection_folder", "load_data", "needed", "read_source"]


@dataclass(frozen=True, order=True)
class TaskSource:
    """One task's dataset in its collection, whether collected already or not."""

    index: int
    task: Task = field(compare=False)
    quality: str

    @property
    def name(self) -> str:
        """The dataset's name in its collection."""
        return f"task-{self.index:03d}.{self.quality}"


def needed(recipe: Recipe) -> tuple[list[TaskSource], list[TaskSource]]:
    """The required datasets of the training tasks and of the unseen tasks, which are numbered after them."""
    data = recipe.data
    train, test = recipe.tasks.tasks(data.train_tasks, data.test_tasks)
    tasks = [TaskSource(i, task, data.quality) for i, task in enumerate(train)]
    unseen = [TaskSource(i, task, data.test_quality or data.quality) for i, task in enumerate(test, len(train))]
    return tasks, unseen


def collection_folder(recipe: Recipe) -> Path:
    """The store's folder for the recipe's task family, tasks and collection settings."""
    shape = {"train_tasks": recipe.data.train_tasks, "test_tasks": recipe.data.test_tasks}
    origin = {"tasks": dump_component(recipe.tasks), "collect": recipe.collect.model_dump(), **shape}
    origin |= {"episodes": recipe.data.episodes, "store": recipe.data.store}
    return collection_dir(store_root(), recipe.tasks.name, fingerprint(plain(origin)))


def load_data(
    recipe: Recipe, batch_size: int
) -> tuple[list[tuple[TaskDataset, Manifest]], list[tuple[TaskDataset, Manifest]]]:
    """The validated datasets of the training tasks and of the unseen tasks, with their manifests."""
    if recipe.data.named:
        return load_named(recipe, batch_size)
    folder = collection_folder(recipe)
    loaded = [[read_source(folder, source, recipe) for source in sources] for sources in needed(recipe)]
    check_datasets([data for part in loaded for data, _ in part], batch_size)
    for data, _ in loaded[1][:1]:  # an environment that cannot be made is reported before training
        check_environment(recipe.tasks, data.name, data.task)
    return loaded[0], loaded[1]


def behavior_policy(recipe: Recipe, data: TaskDataset) -> Params | None:
    """The behaviour policy of a dataset from `load_data`; None if there were several policies or none was stored."""
    name = data.name if recipe.data.named else f"{collection_folder(recipe).name}/{data.name}"
    return DatasetEntry(*name.split("/", 1)).policy()


def read_source(folder: Path, source: TaskSource, recipe: Recipe) -> tuple[TaskDataset, Manifest]:
    """The dataset of one task with its manifest; raises `DatasetError` if it is of another task or collection."""
    data, manifest = read_dataset(folder, source.name)
    found = (manifest.family, manifest.task, manifest.quality)
    expected = (recipe.tasks.name, plain(source.task), source.quality)
    if found != expected:
        _refuse(folder, source, f"holds (family, task, quality) {found}, expected {expected}")
    others = differences(_collected_by(manifest), _collection(recipe, source))
    if others:
        _refuse(folder, source, f"is of another collection: {others}")
    return data, manifest


def _collected_by(manifest: Manifest) -> dict[str, Any]:
    """What a manifest says of the collection of its dataset."""
    return {
        "tasks": manifest.family_settings,
        "collect": manifest.settings,
        "episodes": manifest.episodes,
        "task_index": manifest.task_index,
    }


def _collection(recipe: Recipe, source: TaskSource) -> dict[str, Any]:
    """What the manifest of a dataset says that was collected for this recipe."""
    settings = {"tasks": recipe.tasks.model_dump(), "collect": recipe.collect.model_dump()}
    return plain({**settings, "episodes": recipe.data.episodes, "task_index": source.index})


def _refuse(folder: Path, source: TaskSource, why: str) -> NoReturn:
    place = manifest_path(folder, source.name)
    raise DatasetError(f"{place}: {why}; collect it again with: merpo collect RECIPE")
