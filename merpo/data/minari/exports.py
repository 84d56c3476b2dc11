"""Export of stored datasets to Minari, with task and family in their metadata."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any
from unicodedata import combining, normalize

from merpo.data.catalog import DatasetEntry
from merpo.data.dataset import TaskDataset
from merpo.data.manifest import Manifest
from merpo.data.minari.files import dataset_folder, minari_root, require_id, require_inside
from merpo.data.minari.imports import SUBTRACTED, TASK_KEY
from merpo.data.reading.account import stored_account
from merpo.data.reference_scores import stored_reference
from merpo.data.store import read_dataset
from merpo.errors import DatasetError, MerpoError
from merpo.lazy import gymnasium, np
from merpo.support.files import atomic_write_json
from merpo.support.paths import inside
from merpo.support.terminal import say
from merpo.version import __version__

__all__ = ["FORMATS", "export_minari"]

FORMATS = ("hdf5", "arrow", "parquet")


def export_minari(
    found: list[DatasetEntry], namespace: str | None, form: str = "hdf5", note: Callable[[str], None] = say
) -> list[str]:
    """Write each dataset as `NAMESPACE/NAME-v0` under Minari's root; returns the ids.

    The default namespace is the collection's name. A process killed at any moment leaves whole datasets only. Raises
    `DatasetError` if an id is taken, or if a row's next observation differs from the next row's observation.
    """
    if form not in FORMATS:
        raise DatasetError(f"--format: got {form!r:.40}, expected one of {', '.join(FORMATS)}")
    ids = [require_id(f"{namespace or _plain(entry.collection)}/{_plain(entry.name)}-v0") for entry in found]
    for entry, dataset_id in zip(found, ids, strict=True):
        if ids.count(dataset_id) > 1:
            raise DatasetError(f"{entry}: two datasets would be named {dataset_id}; export one collection at a time")
        existing = require_inside(dataset_folder(dataset_id))
        if existing.exists():
            raise DatasetError(f"{existing}: already exists; delete it with: minari delete {dataset_id}")
    for entry, dataset_id in zip(found, ids, strict=True):
        data, manifest = read_dataset(entry.folder, entry.name)
        _write(data, manifest, dataset_id, form)
        note(f"{entry}: exported as {dataset_id} ({form})")
    return ids


def _write(data: TaskDataset, manifest: Manifest, dataset_id: str, form: str) -> None:
    """Write a dataset atomically: into a temporary folder, which is then renamed."""
    storage_class = _storage_class()
    episodes = list(_episodes(data))
    place = dataset_folder(dataset_id)
    temporary = place.with_name(f".{place.name}.tmp-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        _make_namespaces(dataset_id)
        temporary.mkdir()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about missing metadata
                box, real = gymnasium.spaces.Box, np.float32
                storage = storage_class.new(
                    temporary / "data",
                    observation_space=box(-np.inf, np.inf, (data.observations.shape[1],), real),
                    action_space=box(-1.0, 1.0, (data.actions.shape[1],), real),
                    data_format=form,
                )
                storage.update_metadata(_metadata(manifest, dataset_id))
                storage.update_episodes(episodes)
            temporary.rename(place)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise DatasetError(f"{place}: cannot be written: {error.strerror or error}") from error


def _storage_class() -> Any:
    try:
        from minari.dataset.minari_storage import MinariStorage
    except ImportError:
        raise MerpoError("export needs minari, which is not installed; pip install 'merpo[minari]'") from None
    return MinariStorage


def _episodes(data: TaskDataset) -> Iterator[Any]:
    """Yield Minari's episode buffers, with L + 1 observations; raises `DatasetError` if that would lose data."""
    from minari.data_collector.episode_buffer import EpisodeBuffer

    offsets = data.episode_offsets.tolist()
    for e, (start, end) in enumerate(pairwise(offsets)):
        seen, after = data.observations[start:end], data.next_observations[start:end]
        if not seen[1:].equal(after[:-1]):
            row = start + int((seen[1:] != after[:-1]).any(-1).nonzero()[0])
            raise DatasetError(
                f"{data.name}: episode {e}: the next observation of row {row} is not the observation of row {row + 1}; "
                "Minari stores each observation once, so such data cannot be exported"
            )
        yield EpisodeBuffer(
            id=e,
            observations=np.concatenate([seen.numpy(), after[-1:].numpy()]),
            actions=data.actions[start:end].numpy(),
            rewards=data.rewards[start:end].numpy(),
            terminations=data.terminations[start:end].numpy().astype(np.bool_),
            truncations=data.truncations[start:end].numpy().astype(np.bool_),
        )


def _metadata(manifest: Manifest, dataset_id: str) -> dict[str, Any]:
    from importlib.metadata import version

    reference, account = stored_reference(manifest.settings), stored_account(manifest.settings)
    less = list(account.subtracted) if account is not None else []
    told = f" These numbers were subtracted from the observations: {less}." if less else ""
    scores = {} if reference is None else {"ref_min_score": reference.random, "ref_max_score": reference.expert}
    return {
        **scores,
        "dataset_id": dataset_id,
        "minari_version": version("minari"),
        "algorithm_name": f"merpo {__version__}, {manifest.quality}",
        "description": f"Task {json.dumps(manifest.task)} of {manifest.family}; actions are scaled to [-1, 1].{told}",
        TASK_KEY: {
            "family": manifest.family,
            "task": manifest.task,
            "sha256": manifest.sha256,
            **({SUBTRACTED: less} if less else {}),
        },
    }


def _make_namespaces(dataset_id: str) -> None:
    """Make a namespace's folders, each with the metadata file that Minari expects."""
    folder = minari_root()
    folder.mkdir(parents=True, exist_ok=True)
    *namespaces, _ = dataset_id.split("/")
    for i in range(len(namespaces)):
        folder = inside(minari_root(), *namespaces[: i + 1], error=DatasetError, pattern=r"[A-Za-z0-9_-]{2,100}")
        folder.mkdir(exist_ok=True)
        path = folder / "namespace_metadata.json"
        if not path.exists():
            atomic_write_json(path, {})


def _plain(name: str) -> str:
    """A name as part of an id: without accents, other letters by their number, dots and the like as hyphens."""
    letters = "".join(c for c in normalize("NFKD", name) if not combining(c))
    return "".join(_in_id(c) for c in letters)


def _in_id(letter: str) -> str:
    if letter.isascii():
        return letter if letter.isalnum() or letter in "-_" else "-"
    return f"u{ord(letter):x}" if letter.isalnum() else "-"
