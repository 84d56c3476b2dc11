"""Find and load the datasets that a recipe or the command line refers to by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from merpo.components.gym_api import EXPECTED, is_of_old_gym, reset, step
from merpo.components.interfaces import TaskFamily
from merpo.data.catalog import DatasetEntry, find, has_minari
from merpo.data.dataset import TaskDataset
from merpo.data.import_logs import LOGS
from merpo.data.manifest import Manifest
from merpo.data.offsets import check_offsets
from merpo.data.store import read_dataset
from merpo.data.validate import check_datasets
from merpo.errors import DatasetError, MerpoError, PluginError
from merpo.lazy import np
from merpo.recipe.recipe import Recipe
from merpo.recipe.sources import Source, minari_place, parse_source
from merpo.types import Task

__all__ = [
    "check_environment",
    "ensure_named",
    "find_datasets",
    "load_named",
    "matches_family",
    "missing_minari",
    "read_named",
]

Loaded = list[tuple[TaskDataset, Manifest]]


def ensure_named(recipe: Recipe, note: Callable[[str], None], fetch: bool = True) -> None:
    """Import the recipe's Minari datasets that the store lacks; raises `DatasetError` for a missing dataset."""
    for source in missing_minari(recipe):
        if not fetch:
            raise DatasetError(f"minari:{source.name} is not in the store; run: merpo data import {source.name}")
        from merpo.data.minari.imports import import_minari

        import_minari([source.name], note=note)
    train, test = _entries(recipe)
    note(f"data: {len(train)} + {len(test)} datasets found by name")


def missing_minari(recipe: Recipe) -> list[Source]:
    """The recipe's Minari datasets that the store lacks; raises `DatasetError` if one's name is taken."""
    sources = _sources(recipe.data.train) + _sources(recipe.data.test)
    return [source for source in sources if source.scheme == "minari" and not has_minari(source.name)]


def load_named(recipe: Recipe, batch_size: int) -> tuple[Loaded, Loaded]:
    """The validated datasets of the training tasks and of the unseen tasks, numbered in the recipe's order."""
    train, test = _entries(recipe)
    every = [_read(entry, index, recipe.tasks) for index, entry in enumerate(train + test)]
    check_datasets([data for data, _ in every], batch_size)
    _check_dims(recipe.tasks, every)
    check_offsets(every)
    if recipe.tasks.has_environment:
        for i, (data, manifest) in enumerate(every):
            if i >= len(train) or manifest.family != recipe.tasks.name:
                check_environment(recipe.tasks, data.name, data.task)
    return every[: len(train)], every[len(train) :]


def _sources(texts: Sequence[str] | None) -> list[Source]:
    return [parse_source(text) for text in texts or ()]


def _entry(source: Source) -> DatasetEntry:
    return DatasetEntry(*minari_place(source.name))


def _entries(recipe: Recipe) -> tuple[list[DatasetEntry], list[DatasetEntry]]:
    """The datasets of `data.train` and `data.test`; raises `DatasetError` for one that is listed twice."""
    train, test = (
        [entry for s in _sources(part) for entry in (find(s.name) if s.scheme == "store" else [_entry(s)])]
        for part in (recipe.data.train, recipe.data.test)
    )
    seen: dict[DatasetEntry, str] = {}
    for part, found in (("data.train", train), ("data.test", test)):
        for entry in found:
            if entry in seen:
                raise DatasetError(f"{part}: {entry} is also in {seen[entry]}, expected every dataset once")
            seen[entry] = part
    return train, test


def matches_family(family: TaskFamily, manifest: Manifest) -> bool:
    """Whether a dataset's task belongs to a family's environments.

    True if it was collected or imported for that family, or imported for none with a task that names an environment,
    as Minari's do: whether the family supports that environment is checked when it is made.
    """
    return manifest.family == family.name or (manifest.family == LOGS and "environment" in manifest.task)


def _read(entry: DatasetEntry, index: int, family: TaskFamily) -> tuple[TaskDataset, Manifest]:
    """A dataset with its full name and its index in this recipe; raises `DatasetError` if it is of another family."""
    data, manifest = read_dataset(entry.folder, entry.name)
    if family.has_environment and not matches_family(family, manifest):
        raise DatasetError(
            f"{entry}: holds data of the family {manifest.family!r}, expected {family.name!r}, whose environments "
            f'evaluate its task; use tasks.component = "logs", or import it with --family {family.name} '
            "--task-params FILE"
        )
    return replace(data, name=str(entry)), manifest.model_copy(update={"task_index": index})


def _check_dims(family: TaskFamily, every: Loaded) -> None:
    spec = family.spec()
    for data, manifest in every:
        found = manifest.observation_dim, manifest.action_dim
        if found != (spec.observation_dim, spec.action_dim):
            hint = f"; set tasks.observation_dim = {found[0]}, tasks.action_dim = {found[1]}"
            raise DatasetError(
                f"{data.name}: (observation, action) dims are {found}, expected those of the tasks, "
                f"{(spec.observation_dim, spec.action_dim)}{'' if family.has_environment else hint}"
            )


def check_environment(family: TaskFamily, name: str, task: Task) -> None:
    """Raise `MerpoError`, before any training, if the family cannot make an environment for a dataset's task.

    It is reset and stepped once: an environment of old Gym would fail at the first evaluation.
    """
    try:
        with closing(family.make(task)) as env:
            reset(env, 0)
            step(env, np.zeros(family.spec().action_dim, dtype=np.float32))
    except MerpoError:
        raise
    except Exception as error:  # a family's environment may raise anything for unknown parameters
        if is_of_old_gym(error):
            raise PluginError(f"tasks/{family.name}: its environment has the API of old Gym; {EXPECTED}") from error
        raise DatasetError(
            f"{name}: {family.name} cannot make an environment with the parameters {task!r:.120} "
            f"({type(error).__name__}: {error!s:.120}); import it with --task-params FILE"
        ) from error


def read_named(names: Sequence[str]) -> list[tuple[TaskDataset, Manifest]]:
    """The validated datasets that `names` refer to, with their manifests; raises `DatasetError` for a missing one."""
    return [read_dataset(folder, name) for text in names for folder, name in find_datasets(text)]


def find_datasets(text: str) -> list[tuple[Path, str]]:
    """The folder and name of each dataset that `text` refers to.

    `text` is the path of a manifest (`….json`) or of a folder of datasets, or `store:COLLECTION/DATASET` (also without
    `store:`) or `minari:NAMESPACE/NAME-v0` as in a recipe. A Minari dataset that the store lacks is imported. Raises
    `DatasetError` with the nearest name if there is none.
    """
    path = Path(text)
    if path.is_file():
        if path.suffix != ".json":
            raise DatasetError(f"{path}: expected a dataset's manifest, a file that ends in .json")
        return [(path.parent, path.stem)]
    if path.is_dir() and (found := [(path, manifest.stem) for manifest in sorted(path.glob("*.json"))]):
        return found
    try:
        return [(entry.folder, entry.name) for entry in _entries_named(text)]
    except DatasetError:
        if path.is_dir():
            raise DatasetError(f"{path}: holds no dataset (expected manifests, which end in .json)") from None
        raise


def _entries_named(text: str) -> list[DatasetEntry]:
    """The store's entries that a name refers to."""
    if not text.startswith(("store:", "minari:")):
        return find(text)
    try:
        source = parse_source(text)
    except ValueError as error:
        raise DatasetError(str(error)) from None
    if source.scheme == "store":
        return find(source.name)
    if not has_minari(source.name):
        from merpo.data.minari.imports import import_minari

        import_minari([source.name])
    return [DatasetEntry(*minari_place(source.name))]
