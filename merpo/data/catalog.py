"""Datasets of the local store by name: list, find, verify and delete them."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from unicodedata import normalize

from merpo.data.manifest import Manifest, read_manifest
from merpo.data.places import SHARED, collection_path, data_path, manifest_path, policy_path, store_root
from merpo.data.store import read_dataset, read_policy
from merpo.errors import DatasetError, nearest
from merpo.recipe.sources import minari_place
from merpo.support.paths import inside, is_name
from merpo.types import Params

__all__ = ["DatasetEntry", "collections", "delete", "entries", "find", "has_minari", "verify"]


class DatasetEntry(NamedTuple):
    """One dataset of the store."""

    collection: str
    name: str

    @property
    def folder(self) -> Path:
        """The collection's folder."""
        return collection_path(store_root(), self.collection)

    def __str__(self) -> str:
        return f"{self.collection}/{self.name}"

    def manifest(self) -> Manifest:
        """The validated manifest; raises `DatasetError` if it is damaged."""
        return read_manifest(manifest_path(self.folder, self.name))

    def policy(self) -> Params | None:
        """The behaviour policy's parameters; None if there were several policies or none was stored."""
        return None if self.manifest().behavior.checkpoint is None else read_policy(self.folder, self.name)


def collections() -> list[str]:
    """The sorted names of the store's collections; folders of other names are ignored."""
    root = store_root()
    try:
        return sorted(path.name for path in root.iterdir() if path.is_dir() and is_name(path.name))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DatasetError(f"{root}: cannot be read: {error.strerror or error}") from None


def entries(collection: str) -> list[DatasetEntry]:
    """The datasets of a collection, sorted by name; raises `DatasetError` if the collection does not exist."""
    folder = collection_path(store_root(), collection)
    if not folder.is_dir():
        known = collections()
        names = f"collections: {', '.join(known[:10])}" if known else "the store is empty"
        how = "create one with merpo collect RECIPE or merpo data import"
        raise DatasetError(f"{folder}: no such collection{nearest(collection, known)}; {names}; {how}")
    return [
        DatasetEntry(collection, path.stem) for path in sorted(folder.glob("*.json")) if not path.name.startswith(".")
    ]


def find(name: str) -> list[DatasetEntry]:
    """Datasets matching `COLLECTION`, `COLLECTION/NAME` or `COLLECTION/PATTERN` with `*`, `?` and `[0-9]`.

    Raises `DatasetError` if none matches.
    """
    collection, slash, pattern = normalize("NFC", name).partition("/")  # as names in the store are written
    known = entries(collection)
    found = [entry for entry in known if not slash or fnmatch.fnmatchcase(entry.name, pattern)]
    if not found:
        names = [entry.name for entry in known]
        hint = nearest(pattern, names) or (f"; it holds {', '.join(names[:5])}" if names else "; it is empty")
        raise DatasetError(f"{name[:200]}: no such dataset in {collection}{hint}")
    return found


def has_minari(dataset_id: str) -> bool:
    """Whether the store holds a Minari dataset; raises `DatasetError` if a dataset of another id has its name."""
    entry = DatasetEntry(*minari_place(dataset_id))
    if not manifest_path(entry.folder, entry.name).exists():
        return False
    found = entry.manifest().settings.get("dataset_id")
    if found != dataset_id:
        raise DatasetError(
            f"{entry}: holds {found or 'data of another source'}, expected minari:{dataset_id}, which would be stored "
            f"under the same name; import it under another one: merpo data import {dataset_id} --name NAME"
        )
    return True


def verify(entry: DatasetEntry) -> Manifest:
    """Check a dataset and its behaviour policy against the manifest's checksums; raises `DatasetError` on damage."""
    _, manifest = read_dataset(entry.folder, entry.name)
    if manifest.behavior.checkpoint is not None:
        read_policy(entry.folder, entry.name)
    return manifest


def delete(found: list[DatasetEntry]) -> list[Path]:
    """Delete datasets, manifests first, and collections left without datasets; returns the deleted files."""
    deleted: list[Path] = []
    for entry in found:
        for path in (path_of(entry.folder, entry.name) for path_of in (manifest_path, data_path, policy_path)):
            deleted += _unlink(path)
    for folder in sorted({entry.folder for entry in found}):
        if not any(folder.glob("*.json")):
            for name in SHARED:
                deleted += _unlink(inside(folder, name, error=DatasetError))
            with suppress(OSError):  # the folder holds other files
                folder.rmdir()
    return deleted


def _unlink(path: Path) -> Iterator[Path]:
    try:
        path.unlink()
    except FileNotFoundError:
        return
    except OSError as error:
        raise DatasetError(f"{path}: cannot be deleted: {error.strerror or error}") from None
    yield path
