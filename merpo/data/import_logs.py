"""Files of logs, one per task, into a collection of the store."""

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

LOGS = "logs"  # the family of data without environments


class Imported(NamedTuple):
    """A dataset that is to be stored, and what is known of where it came from."""

    data: TaskDataset
    settings: Mapping[str, Any]


def import_logs(
    paths: Sequence[Path],
    collection: str | None,
    columns: Columns,
    params: Mapping[str, Task],
    family: str = LOGS,
    note: Callable[[str], None] = print,
) -> str:
    """Read, check and store every file of `paths` (folders: their files); returns the collection's name.

    All files are read and checked before the first is stored. Raises `DatasetError` for what cannot be used.
    """
    files = [file for path in paths for file in _files(path)]
    names = [slug(file.stem) for file in files]
    check_params(params, names)
    chosen = collection or slug(paths[0].stem if paths[0].is_file() else paths[0].resolve().name)
    made = []
    for file, name in zip(files, names, strict=True):
        task = params.get(name, {"name": f"{chosen}/{name}"})
        data = columns.dataset(read_table(file), str(file), task, name)
        source = {"source": "file", "file": file.name, "sha256": sha256_file(file), "columns": columns.model_dump()}
        made.append(Imported(data, source))
    store_imported(chosen, made, family, note)
    return chosen


def store_imported(collection: str, made: Sequence[Imported], family: str, note: Callable[[str], None]) -> None:
    """Put datasets that fit together into a collection; what it has already must be the same."""
    check_datasets([one.data for one in made], 1)
    names = [one.data.name for one in made]
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise DatasetError(f"{collection}: two datasets would be called {twice!r} in it; import them apart")
    folder = collection_path(store_root(), collection)
    with folder_lock(folder / LOCK, note):
        already = _store(folder, collection, made, family)
    told = f", {already} were there already" if already else ""
    note(f"{collection}: {len(made) - already} datasets stored in {folder}{told}")


def _store(folder: Path, collection: str, made: Sequence[Imported], family: str) -> int:
    """Write what the collection lacks; how many of the datasets were there."""
    there = {one.data.name for one in made if manifest_path(folder, one.data.name).exists()}
    for one in made:
        if one.data.name in there:
            _require_same(folder, collection, one.data, family)
    first = 1 + max((entry.manifest().task_index for entry in entries(collection)), default=-1)
    fresh = [one for one in made if one.data.name not in there]
    for index, (data, settings) in enumerate(fresh, first):
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
    return len(there)


def read_task_params(path: Path | None) -> dict[str, Task]:
    """`[pump-7] load = 3` of a TOML file: each dataset's task parameters; raises RecipeError for anything else."""
    if path is None:
        return {}
    tables = read(path)
    for name, value in tables.items():
        if not isinstance(value, dict):
            raise RecipeError(f"{path}: {name[:80]}: expected a table [{name[:40]}] with a dataset's parameters")
    return plain(tables)


def check_family(family: str) -> None:
    """Refuse the name of a family that is not installed."""
    if family != LOGS:
        from merpo.components.registry import get

        get("tasks", family)


def check_params(params: Mapping[str, Task], names: Sequence[str]) -> None:
    """Refuse parameters of tasks that are not there, most likely misspelt."""
    for name in params:
        if name not in names:
            raise RecipeError(f"--task-params: no dataset {name[:80]!r}{nearest(name[:80], names)}")


def slug(text: str) -> str:
    """`text` as a name in the store, other characters replaced by hyphens."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", text).lstrip("._+-")[:100].rstrip("-") or "data"


def _files(path: Path) -> list[Path]:
    """A file itself, or the files of a folder that can be read, by name."""
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.iterdir() if file.suffix.lower() in FORMATS and file.is_file())
    if not found:
        raise DatasetError(f"{path}: holds no file that ends in {', '.join(FORMATS)}")
    return found


def _require_same(folder: Path, collection: str, data: TaskDataset, family: str) -> None:
    """An entry of the store is never replaced by other data, nor by other words about it."""
    old, manifest = read_dataset(folder, data.name)
    other = old.task != plain(data.task) or manifest.family != family
    if other or any(not getattr(old, key).equal(getattr(data, key)) for key in ARRAYS):
        name = f"{collection}/{data.name}"
        raise DatasetError(f"{name} is in the store with other data, task or family; first: merpo data delete {name}")
