"""Datasets by the names that users give on the command line: as a recipe names them, or by their place on the disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from merpo.data.catalog import Entry, find, has_minari
from merpo.data.dataset import TaskDataset
from merpo.data.manifest import Manifest
from merpo.data.store import read_dataset
from merpo.errors import DatasetError
from merpo.recipe.sources import minari_place, parse_source

__all__ = ["find_datasets", "read_named"]


def read_named(names: Sequence[str]) -> list[tuple[TaskDataset, Manifest]]:
    """The checked datasets that `names` stand for, with their manifests. Raises `DatasetError` for what is not one."""
    return [read_dataset(folder, name) for text in names for folder, name in find_datasets(text)]


def find_datasets(text: str) -> list[tuple[Path, str]]:
    """Folder and name of each dataset that `text` stands for.

    `text` is the path of a manifest (`….json`) or of a folder of datasets, `store:COLLECTION/DATASET` or
    `minari:NAMESPACE/NAME-v0` as in a recipe, or the former without its `store:`. What Minari has and the store lacks
    is imported. Raises `DatasetError` with the nearest name where there is none.
    """
    path = Path(text)
    if path.is_file():
        if path.suffix != ".json":
            raise DatasetError(f"{path}: expected the manifest of a dataset, which ends in .json")
        return [(path.parent, path.stem)]
    if path.is_dir() and (found := [(path, manifest.stem) for manifest in sorted(path.glob("*.json"))]):
        return found
    try:
        return [(entry.folder, entry.name) for entry in _entries(text)]
    except DatasetError:
        if path.is_dir():
            raise DatasetError(f"{path}: holds no dataset (expected manifests, which end in .json)") from None
        raise


def _entries(text: str) -> list[Entry]:
    """The store's entries under a name."""
    if not text.startswith(("store:", "minari:")):
        return find(text)
    try:
        source = parse_source(text)
    except ValueError as error:
        raise DatasetError(str(error)) from None
    if source.door == "store":
        return find(source.name)
    if not has_minari(source.name):
        from merpo.data.minari.imports import import_minari

        import_minari([source.name])
    return [Entry(*minari_place(source.name))]
