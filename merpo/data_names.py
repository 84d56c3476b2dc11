"""Datasets by the names that users give: one of the store, a manifest's path, or a folder of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from merpo.dataset import TaskDataset
from merpo.errors import DatasetError, nearest
from merpo.manifest import Manifest
from merpo.places import store_root
from merpo.store import read_dataset

__all__ = ["find_datasets", "read_named"]


def read_named(names: Sequence[str]) -> list[tuple[TaskDataset, Manifest]]:
    """The checked datasets that `names` stand for, with their manifests. Raises `DatasetError` for what is not one."""
    return [read_dataset(folder, name) for text in names for folder, name in find_datasets(text)]


def find_datasets(text: str) -> list[tuple[Path, str]]:
    """Folder and name of each dataset that `text` stands for.

    `text` is the path of a manifest (`….json`), a folder of datasets, or `collection` or `collection/dataset` in the
    store. Raises `DatasetError` with the nearest name where there is none.
    """
    path = Path(text)
    if path.is_file():
        if path.suffix != ".json":
            raise DatasetError(f"{path}: expected the manifest of a dataset, which ends in .json")
        return [(path.parent, path.stem)]
    root = store_root()
    for folder in (path, root / path):
        if folder.is_dir():
            return _all(folder)
    stored = root / path
    if stored.with_name(f"{stored.name}.json").is_file():
        return [(stored.parent, stored.name)]
    raise DatasetError(
        f"{text!r:.200}: neither a dataset of the store {root}, nor a manifest, nor a folder{_nearest(root, path)}"
    )


def _all(folder: Path) -> list[tuple[Path, str]]:
    """Every dataset of a folder."""
    found = [(folder, path.stem) for path in sorted(folder.glob("*.json"))]
    if not found:
        raise DatasetError(f"{folder}: holds no dataset (expected manifests, which end in .json)")
    return found


def _nearest(root: Path, path: Path) -> str:
    """The closest name in the collection that `path` is in, or the closest collection."""
    if len(path.parts) > 1 and (root / path.parent).is_dir():
        return nearest(path.name, [other.stem for other in (root / path.parent).glob("*.json")])
    collections = [other.name for other in root.iterdir() if other.is_dir()] if root.is_dir() else []
    return nearest(path.parts[0] if path.parts else "", collections)
