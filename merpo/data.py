"""The data that a recipe needs: found in the store, or collected into it first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from merpo.catalog import Entry
from merpo.collect import Checkpoints
from merpo.collect_settings import QUALITIES
from merpo.collect_train import behavior_policies, say_what_it_takes
from merpo.component import dump_component
from merpo.context import Context
from merpo.dataset import TaskDataset
from merpo.episodes import collect_quality
from merpo.errors import DatasetError
from merpo.files import fingerprint, plain
from merpo.learning_curve import write_curve
from merpo.lock import folder_lock
from merpo.manifest import Manifest
from merpo.named_data import check_environment, ensure_named, load_named
from merpo.places import LOCK, collection_dir, manifest_path, store_root
from merpo.quality_table import quality_lines
from merpo.recipe import Recipe
from merpo.stop import check
from merpo.store import read_dataset, write_dataset
from merpo.types import Params, Task
from merpo.validate import check_datasets

__all__ = ["TaskSource", "behavior_policy", "collection_folder", "ensure_data", "load_data", "needed"]

LINES = 16  # of the table of what was collected; the rest is in `merpo data show`


@dataclass(frozen=True, order=True)
class TaskSource:
    """Where one task's dataset is, or will be."""

    index: int
    task: Task = field(compare=False)
    quality: str

    @property
    def name(self) -> str:
        """The dataset's name in its collection."""
        return f"task-{self.index:03d}.{self.quality}"


def needed(recipe: Recipe) -> tuple[list[TaskSource], list[TaskSource]]:
    """The datasets of the training tasks and of the unseen tasks; unseen tasks are numbered after the others."""
    data = recipe.data
    train, test = recipe.tasks.tasks(data.train_tasks, data.test_tasks)
    tasks = [TaskSource(i, task, data.quality) for i, task in enumerate(train)]
    unseen = [TaskSource(i, task, data.test_quality or data.quality) for i, task in enumerate(test, len(train))]
    return tasks, unseen


def collection_folder(recipe: Recipe) -> Path:
    """The folder of the store for this family, these tasks and these collection settings."""
    shape = {"train_tasks": recipe.data.train_tasks, "test_tasks": recipe.data.test_tasks}
    origin = {"tasks": dump_component(recipe.tasks), "collect": recipe.collect.model_dump(), **shape}
    origin |= {"episodes": recipe.data.episodes, "store": recipe.data.store}
    return collection_dir(store_root(), recipe.tasks.name, fingerprint(plain(origin)))


def ensure_data(
    recipe: Recipe,
    context: Context,
    note: Callable[[str], None],
    collect: bool = True,
    repair: bool = False,
    qualities: Sequence[str] = (),
) -> list[TaskSource]:
    """Collect what the store lacks, and say what is done and how good it is; returns what was collected.

    With `qualities`, all tasks' data of each of these is needed. A dataset that is there but damaged is not lacking:
    loading refuses it by name, and only `repair` collects it again. Raises `DatasetError` if something is lacking and
    `collect` is False, or the disk has no room for it.
    """
    if recipe.data.named:
        ensure_named(recipe, note, collect)
        return []
    folder = collection_folder(recipe)
    train, unseen = _of_qualities(needed(recipe), qualities)
    every = sorted(train + unseen)
    lacking = _lacking(folder, every, recipe, note, repair)
    if not lacking:
        note(f"data: {len(train)} + {len(unseen)} datasets found in {folder}")
        return []
    if not collect:
        raise DatasetError(
            f"{folder}: {len(lacking)} of {len(train) + len(unseen)} datasets are missing, the first is "
            f"{lacking[0].name}; leave out --no-collect, or run: merpo collect RECIPE"
        )
    with folder_lock(folder / LOCK, note):
        lacking = _lacking(folder, every, recipe, lambda _: None, repair)  # another may have collected them by now
        if not lacking:
            note(f"data: {len(train)} + {len(unseen)} datasets found in {folder}")
            return []
        note(f"data: collecting {len(lacking)} datasets into {folder}")
        tasks = list({source.index: source.task for source in every}.values())
        say_what_it_takes(recipe, folder, tasks, [source.quality for source in lacking], context, note)
        checkpoints = behavior_policies(recipe, folder, tasks, context, note)
        write_curve(folder, checkpoints)
        for quality in [quality for quality in QUALITIES if any(source.quality == quality for source in lacking)]:
            _collect(recipe, folder, quality, [s for s in lacking if s.quality == quality], checkpoints, context)
    for line in quality_lines(folder, [source.name for source in every], LINES):
        note(f"data: {line}")
    return lacking


def load_data(
    recipe: Recipe, batch_size: int
) -> tuple[list[tuple[TaskDataset, Manifest]], list[tuple[TaskDataset, Manifest]]]:
    """The checked datasets of the training tasks and of the unseen tasks, with their manifests."""
    if recipe.data.named:
        return load_named(recipe, batch_size)
    folder = collection_folder(recipe)
    loaded = [[_read(folder, source, recipe) for source in sources] for sources in needed(recipe)]
    check_datasets([data for part in loaded for data, _ in part], batch_size)
    for data, _ in loaded[1][:1]:  # what cannot be measured is told before anything is trained
        check_environment(recipe.tasks, data.name, data.task)
    return loaded[0], loaded[1]


def behavior_policy(recipe: Recipe, data: TaskDataset) -> Params | None:
    """Who collected a dataset that `load_data` gave; None where no single policy did, or none was kept."""
    name = data.name if recipe.data.named else f"{collection_folder(recipe).name}/{data.name}"
    return Entry(*name.split("/", 1)).policy()


def _of_qualities(
    parts: tuple[list[TaskSource], list[TaskSource]], qualities: Sequence[str]
) -> tuple[list[TaskSource], list[TaskSource]]:
    """The same tasks in each of `qualities`, or as they are where there are none."""
    if not qualities:
        return parts
    train, unseen = (
        [replace(source, quality=q) for source in part for q in dict.fromkeys(qualities)] for part in parts
    )
    return train, unseen


def _lacking(
    folder: Path, every: list[TaskSource], recipe: Recipe, note: Callable[[str], None], repair: bool
) -> list[TaskSource]:
    """What is to be collected: datasets that are not there and, with `repair`, those that cannot be used."""
    lacking = [source for source in every if not manifest_path(folder, source.name).exists()]
    if repair:
        there = [source for source in every if source not in lacking]
        lacking += [source for source in there if _damaged(folder, source, recipe, note)]
    return lacking


def _damaged(folder: Path, source: TaskSource, recipe: Recipe, note: Callable[[str], None]) -> bool:
    """Whether a dataset that is there cannot be used; `note` is told why."""
    try:
        _read(folder, source, recipe)
    except DatasetError as error:
        note(f"data: {error}")
        return True
    return False


def _read(folder: Path, source: TaskSource, recipe: Recipe) -> tuple[TaskDataset, Manifest]:
    data, manifest = read_dataset(folder, source.name)
    found = (manifest.family, manifest.task, manifest.quality)
    expected = (recipe.tasks.name, plain(source.task), source.quality)
    if found != expected:
        raise DatasetError(
            f"{manifest_path(folder, source.name)}: holds (family, task, quality) {found}, expected {expected}; "
            "collect it again with: merpo collect RECIPE"
        )
    return data, manifest


def _collect(
    recipe: Recipe, folder: Path, quality: str, sources: list[TaskSource], checkpoints: Checkpoints, context: Context
) -> None:
    """Roll out the checkpoints of one quality for `sources` and store what they earned."""
    index = [source.index for source in sources]
    tasks = [source.task for source in sources]
    made = collect_quality(
        recipe.tasks, tasks, index, checkpoints, quality, recipe.data.episodes, recipe.collect, context
    )
    for done, (source, episodes) in enumerate(zip(sources, made, strict=True), 1):
        check()
        returns = episodes.data.episode_returns()
        write_dataset(
            folder,
            source.name,
            episodes.data,
            family=recipe.tasks.name,
            family_settings=recipe.tasks.model_dump(),
            task_index=source.index,
            quality=quality,
            step=episodes.step,
            return_mean=float(returns.mean()),
            return_std=float(returns.std(correction=0)),
            seed=recipe.collect.seed,
            settings=recipe.collect.model_dump(),
            policy=episodes.policy,
        )
        if done % 10 == 0 or done == len(sources):
            context.log(f"collect {quality}", done, len(sources), {"return": returns.mean()})
