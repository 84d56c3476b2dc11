"""Import of log files, one per task, into a collection of the store."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unicodedata import normalize

from merpo.data.catalog import entries
from merpo.data.columns import Columns
from merpo.data.csv_format import dialect_lines
from merpo.data.dataset import TaskDataset
from merpo.data.file_formats import FORMATS
from merpo.data.import_summary import summary_lines
from merpo.data.leave_out import left_out, left_out_lines
from merpo.data.places import LOCK, collection_path, manifest_path, store_root
from merpo.data.reading.account import KEY
from merpo.data.store import read_dataset, write_dataset
from merpo.data.table_files import CsvTable
from merpo.data.task_params import task_params
from merpo.data.toml_files import read_import_file
from merpo.data.validate import ARRAYS, check_datasets
from merpo.errors import DatasetError, RecipeError
from merpo.support.files import FILE_NAME_BYTES, NAME_CHARACTERS, plain, sha256_file
from merpo.support.lock import folder_lock
from merpo.support.terminal import say
from merpo.types import Task

__all__ = [
    "LOGS",
    "Imported",
    "check_family",
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
    leave_out: Sequence[str] = (),
) -> str:
    """Read, check and store every file of `paths` (for folders, the files in them); returns the collection's name.

    `leave_out` are episodes that are not read, `DATASET/EPISODE` by label or number. All files are read and checked
    before the first is stored. Raises `DatasetError` for an invalid file.
    """
    files = [file for path in paths for file in _files(path)]
    names = [slug(file.stem) for file in files]
    known = [(name, file.stem) for name, file in zip(names, files, strict=True)]
    tasks, without = task_params(params, known, note), left_out(leave_out, known)
    target = collection or slug(paths[0].stem if paths[0].is_file() else paths[0].resolve().name)
    imported, dialects = [], []
    for file, name, given, episodes in zip(files, names, tasks, without, strict=True):
        table = columns.table(file)
        task: Task = {"name": f"{target}/{name}"} if given is None else given
        data, account = columns.read(table, str(file), task, name, episodes)
        source = {
            "source": "file",
            "file": file.name,
            "sha256": sha256_file(file),
            "columns": {**columns.model_dump(exclude_defaults=True), **columns.names(table)},
            KEY: account.model_dump(),
        }
        source |= {"left out": list(episodes)} if episodes else {}
        if isinstance(table, CsvTable) and (unusual := table.dialect.unusual()):
            source["csv"] = unusual
            dialects.append(table.dialect)
        imported.append(Imported(data, source))
    for line in [*dialect_lines(dialects), *left_out_lines(names, without)]:
        note(f"{target}: {line}")
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
    stored = f"{collection}: {len(imported) - existing} datasets stored in {folder}{suffix}"
    note("\n  ".join([stored, *summary_lines(imported)]))


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
    tables = read_import_file(path)
    for name, value in tables.items():
        if not isinstance(value, dict):
            raise RecipeError(f"{path}: {name[:80]}: expected a table [{name[:40]}] with a dataset's parameters")
    return plain(tables)


def check_family(family: str) -> None:
    """Raise an error if no task family of that name is installed."""
    if family != LOGS:
        from merpo.components.registry import get

        get("tasks", family)


def slug(text: str) -> str:
    """`text` as a valid name in the store, in any script; invalid characters are replaced by hyphens."""
    name = re.sub(rf"[^{NAME_CHARACTERS}]+", "-", normalize("NFC", text))
    first = re.search(r"[^\W_]", name)
    kept = name[first.start() :][:100] if first else ""
    return kept.encode()[: FILE_NAME_BYTES - len(".policy")].decode(errors="ignore").rstrip("-") or "data"


def _files(path: Path) -> list[Path]:
    """The file itself, or a folder's files of a supported format, sorted by name."""
    if not path.is_dir():
        return [path]
    every = (file for file in path.iterdir() if not file.name.startswith("."))  # a system's own files
    found = sorted(file for file in every if file.suffix.lower() in FORMATS and file.is_file())
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
