"""What the store holds: found, looked at, checked and deleted by name."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from merpo.data.manifest import Manifest, read_manifest
from merpo.data.places import SHARED, collection_path, data_path, manifest_path, policy_path, store_root
from merpo.data.store import read_dataset, read_policy
from merpo.errors import DatasetError, nearest
from merpo.recipe.sources import minari_place
from merpo.support.files import FILE_NAME
from merpo.types import Params

__all__ = ["Entry", "collections", "delete", "entries", "find", "has_minari", "verify"]


class Entry(NamedTuple):
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
        """Its manifest, checked; `DatasetError` where it is damaged."""
        return read_manifest(manifest_path(self.folder, self.name))

    def policy(self) -> Params | None:
        """Who collected it; None where no single policy did, or none was kept."""
        return None if self.manifest().behavior.checkpoint is None else read_policy(self.folder, self.name)


def collections() -> list[str]:
    """The names of the store's collections, sorted; a folder of another kind of name is none of the store's."""
    root = store_root()
    try:
        return sorted(path.name for path in root.iterdir() if path.is_dir() and re.fullmatch(FILE_NAME, path.name))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DatasetError(f"{root}: cannot be read: {error.strerror or error}") from None


def entries(collection: str) -> list[Entry]:
    """The datasets of a collection, sorted by name; `DatasetError` where there is no such collection."""
    folder = collection_path(store_root(), collection)
    if not folder.is_dir():
        known = collections()
        names = f"collections: {', '.join(known[:10])}" if known else "the store is empty"
        made = "made by merpo collect RECIPE or merpo data import"
        raise DatasetError(f"{folder}: no such collection{nearest(collection, known)}; {names}; {made}")
    return [Entry(collection, path.stem) for path in sorted(folder.glob("*.json")) if not path.name.startswith(".")]


def find(name: str) -> list[Entry]:
    """`COLLECTION`, `COLLECTION/NAME` or `COLLECTION/PATTERN` with `*`, `?` and `[0-9]`; `DatasetError` for none."""
    collection, slash, pattern = name.partition("/")
    there = entries(collection)
    found = [entry for entry in there if not slash or fnmatch.fnmatchcase(entry.name, pattern)]
    if not found:
        names = [entry.name for entry in there]
        hint = nearest(pattern, names) or (f"; there: {', '.join(names[:5])}" if names else "; it is empty")
        raise DatasetError(f"{name[:200]}: no such dataset in {collection}{hint}")
    return found


def has_minari(dataset_id: str) -> bool:
    """Whether the store has a dataset of Minari's; `DatasetError` where one of another id is in its place."""
    entry = Entry(*minari_place(dataset_id))
    if not manifest_path(entry.folder, entry.name).exists():
        return False
    found = entry.manifest().settings.get("dataset_id")
    if found != dataset_id:
        raise DatasetError(
            f"{entry}: holds {found or 'data of another source'}, expected minari:{dataset_id}, which would have the "
            f"same place; import that one under another name: merpo data import {dataset_id} --name NAME"
        )
    return True


def verify(entry: Entry) -> Manifest:
    """Read all of a dataset and its policy against the manifest's sums; `DatasetError` for what is damaged."""
    _, manifest = read_dataset(entry.folder, entry.name)
    if manifest.behavior.checkpoint is not None:
        read_policy(entry.folder, entry.name)
    return manifest


def delete(found: list[Entry]) -> list[Path]:
    """Delete datasets, manifests first; a collection without datasets goes too. Returns the files that are gone."""
    gone: list[Path] = []
    for entry in found:
        for path in (place(entry.folder, entry.name) for place in (manifest_path, data_path, policy_path)):
            gone += _unlink(path)
    for folder in sorted({entry.folder for entry in found}):
        if not any(folder.glob("*.json")):
            for name in SHARED:
                gone += _unlink(folder / name)
            with suppress(OSError):  # something else lies there
                folder.rmdir()
    return gone


def _unlink(path: Path) -> Iterator[Path]:
    try:
        path.unlink()
    except FileNotFoundError:
        return
    except OSError as error:
        raise DatasetError(f"{path}: cannot be deleted: {error.strerror or error}") from None
    yield path
