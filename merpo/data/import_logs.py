"""Import of log files, one per task, into a collection of the store."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from merpo.data.catalog import entries
from merpo.data.columns import Columns
from merpo.data.dataset import TaskDataset
from merpo.data.places import LOCK, collection_path, manifest_path, store_root
from merpo.data.store import read_dataset, write_dataset
from merpo.data.table_files import FORMATS, read_table
from merpo.data.validate import ARRAYS, check_datasets
from merpo.errors import DatasetError, RecipeError, nearest
from merpo.recipe.text import read
from merpo.support.files import plain, sha256_file
from merpo.support.lock import folder_lock
from merpo.support.terminal import say
from merpo.types import Task

__all__ = [
    "LOGS",
    "Imported",
    "check_family",
    "check_params",
    "import_logs",
    "read_task_params",
    "slug",
    "store_imported",
]

LOGS = "logs"  # the task family for data without environments


class Imported(NamedTuple):
    """A dataset to be stored, with its provenance."""

    data: TaskDataset
    settings: Mapping[str, Any]


def import_logs(
    paths: Sequence[Path],
    collection: str | None,
    columns: Columns,
    params: Mapping[str, Task],
    family: str = LOGS,
    note: Callable[[str], None] = say,
) -> str:
    """Read, check and store every file of `paths` (for folders, the files in them); returns the collection's name.

    All files are read and checked before the first is stored. Raises `DatasetError` for an invalid file.
    """
    files = [file for path in paths for file in _files(path)]
    names = [slug(file.stem) for file in files]
    check_params(params, names)
    target = collection or slug(paths[0].stem if paths[0].is_file() else paths[0].resolve().name)
    imported = []
    for file, name in zip(files, names, strict=True):
        task = params.get(name, {"name": f"{target}/{name}"})
        data = columns.dataset(read_table(file), str(file), task, name)
        source = {"source": "file", "file": file.name, "sha256": sha256_file(file), "columns": columns.model_dump()}
        imported.append(Imported(data, source))
    store_imported(target, imported, family, note)
    return target


def store_imported(collection: str, imported: Sequence[Imported], family: str, note: Callable[[str], None]) -> None:
    """Store datasets of equal dims in a collection; raises `DatasetError` if it holds other data under a name."""
    check_datasets([one.data for one in imported], 1)
    names = [one.data.name for one in imported]
    duplicate = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if duplicate is not None:
        raise DatasetError(f"{collection}: two datasets would be named {duplicate!r}; import them separately")
    folder = collection_path(store_root(), collection)
    with folder_lock(folder / LOCK, note):
        existing = _store(folder, collection, imported, family)
    suffix = f", {existing} already existed" if existing else ""
    note(f"{collection}: {len(imported) - existing} datasets stored in {folder}{suffix}")


def _store(folder: Path, collection: str, imported: Sequence[Imported], family: str) -> int:
    """Write the datasets that the collection lacks; returns the number of those that it already held."""
    existing = {one.data.name for one in imported if manifest_path(folder, one.data.name).exists()}
    for one in imported:
        if one.data.name in existing:
            _require_same(folder, collection, one.data, family)
    first = 1 + max((entry.manifest().task_index for entry in entries(collection)), default=-1)
    new = [one for one in imported if one.data.name not in existing]
    for index, (data, settings) in enumerate(new, first):
        returns = data.episode_returns()
        write_dataset(
            folder,
            data.name,
            data,
            family=family,
            family_settings={},
            task_index=index,
            quality="imported",
            step=0,
            return_mean=float(returns.mean()),
            return_std=float(returns.std(correction=0)),
            seed=0,
            settings=settings,
        )
    return len(existing)


def read_task_params(path: Path | None) -> dict[str, Task]:
    """Each dataset's task parameters in a TOML file, e.g. `[pump-7] load = 3`; raises `RecipeError` if invalid."""
    if path is None:
        return {}
    tables = read(path)
    for name, value in tables.items():
        if not isinstance(value, dict):
            raise RecipeError(f"{path}: {name[:80]}: expected a table [{name[:40]}] with a dataset's parameters")
    return plain(tables)


def check_family(family: str) -> None:
    """Raise an error if no task family of that name is installed."""
    if family != LOGS:
        from merpo.components.registry import get

        get("tasks", family)


def check_params(params: Mapping[str, Task], names: Sequence[str]) -> None:
    """Raise `RecipeError` for task parameters of a dataset that is not imported, e.g. a misspelt name."""
    for name in params:
        if name not in names:
            raise RecipeError(f"--task-params: no dataset {name[:80]!r}{nearest(name[:80], names)}")


def slug(text: str) -> str:
    """`text` as a valid name in the store, invalid characters replaced by hyphens."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", text).lstrip("._+-")[:100].rstrip("-") or "data"


def _files(path: Path) -> list[Path]:
    """The file itself, or a folder's files of a supported format, sorted by name."""
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.iterdir() if file.suffix.lower() in FORMATS and file.is_file())
    if not found:
        raise DatasetError(f"{path}: holds no file that ends in {', '.join(FORMATS)}")
    return found


def _require_same(folder: Path, collection: str, data: TaskDataset, family: str) -> None:
    """Raise `DatasetError` unless the stored dataset has the same arrays, task and family: imports never overwrite."""
    old, manifest = read_dataset(folder, data.name)
    differs = old.task != plain(data.task) or manifest.family != family
    if differs or any(not getattr(old, key).equal(getattr(data, key)) for key in ARRAYS):
        name = f"{collection}/{data.name}"
        raise DatasetError(f"{name} is in the store with other data, task or family; run: merpo data delete {name}")
