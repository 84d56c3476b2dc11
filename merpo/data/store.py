"""The local data store: one immutable safetensors file per task, with a manifest that records its SHA-256.

A dataset `name` in a collection's folder is `name.safetensors` (the transitions), `name.policy.safetensors` (the
behaviour policy) and `name.json` (the manifest). The manifest is written last: without it the dataset does not exist.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from merpo.artifacts.versions import versions
from merpo.data.dataset import TaskDataset
from merpo.data.manifest import FORMAT_VERSION, RECOLLECT, Behavior, Manifest, read_manifest, write_manifest
from merpo.data.places import collection_dir, data_path, manifest_path, policy_path, store_root
from merpo.data.validate import ARRAYS, check_dataset, check_datasets
from merpo.errors import DatasetError
from merpo.support.files import LIMIT, atomic_write_tensors, fingerprint, plain, sha256_file
from merpo.support.paths import inside
from merpo.support.tensors import mapped_tensors
from merpo.types import Params

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Behavior",
    "Manifest",
    "check_datasets",
    "collection_dir",
    "data_path",
    "fingerprint",
    "has_dataset",
    "manifest_path",
    "policy_path",
    "read_dataset",
    "read_manifest",
    "read_policy",
    "store_root",
    "write_dataset",
]


MAX_POLICY = 1 << 30  # bytes of a behaviour policy's file


def has_dataset(folder: Path, name: str) -> bool:
    """Whether a dataset has a valid manifest and a data file of the right size; its content is not read."""
    manifest, data = manifest_path(folder, name), data_path(folder, name)
    try:
        return read_manifest(manifest).size == data.stat().st_size
    except (DatasetError, OSError):
        return False


def write_dataset(
    folder: Path,
    name: str,
    data: TaskDataset,
    *,
    family: str,
    family_settings: Mapping[str, Any],
    task_index: int,
    quality: str,
    step: int,
    return_mean: float,
    return_std: float,
    seed: int,
    settings: Mapping[str, Any],
    policy: Params | None = None,
) -> Manifest:
    """Store one task's transitions and their behaviour policy (trained for `step` steps, with returns `return_*`).

    Atomic: a process killed at any moment leaves the whole dataset or none. Raises `DatasetError` for invalid data.
    """
    check_dataset(data)
    path, manifest, checkpoint = data_path(folder, name), manifest_path(folder, name), policy_path(folder, name)
    content: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "family": family,
        "family_settings": plain(family_settings),
        "task": plain(data.task),
        "task_index": task_index,
        "quality": quality,
        "seed": seed,
        "episodes": len(data.episode_offsets) - 1,
        "transitions": len(data),
        "observation_dim": data.observations.shape[1],
        "action_dim": data.actions.shape[1],
        "versions": versions(),
        "settings": plain(settings),
    }
    _remove(manifest)  # the dataset does not exist until its manifest is written again
    atomic_write_tensors(path, {key: getattr(data, key) for key in ARRAYS})
    if policy is not None:
        atomic_write_tensors(checkpoint, policy)
    behavior = {
        "checkpoint": None if policy is None else checkpoint.name,
        "sha256": None if policy is None else sha256_file(checkpoint),
        "step": step,
        "return_mean": return_mean,
        "return_std": return_std,
    }
    digest = {"sha256": sha256_file(path), "size": path.stat().st_size}
    return write_manifest(manifest, {**content, **digest, "behavior": behavior})


def read_dataset(folder: Path, name: str, verify: bool = True) -> tuple[TaskDataset, Manifest]:
    """One task's dataset, memory-mapped, and its manifest; `verify=False` skips the SHA-256 check only.

    Raises `DatasetError` for any defect of either file, naming the file, the value found and the value expected.
    """
    manifest = read_manifest(manifest_path(folder, name))
    path = data_path(folder, name)
    _check_size(path, manifest.size)
    arrays = _load(path, manifest.sha256 if verify else None)
    if set(arrays) != set(ARRAYS):
        raise DatasetError(f"{path}: holds {sorted(arrays)!r:.300}, expected {sorted(ARRAYS)}; {RECOLLECT}")
    data = TaskDataset(**arrays, task=manifest.task, name=name)
    try:
        check_dataset(data, str(path))
    except DatasetError as error:
        raise DatasetError(f"{error}; {RECOLLECT}") from error
    found = (len(data), len(data.episode_offsets) - 1, data.observations.shape[1], data.actions.shape[1])
    expected = (manifest.transitions, manifest.episodes, manifest.observation_dim, manifest.action_dim)
    if found != expected:
        what = "(transitions, episodes, observation dim, action dim)"
        raise DatasetError(f"{path}: {what} are {found}, expected {expected} as in its manifest; {RECOLLECT}")
    return data, manifest


def read_policy(folder: Path, name: str) -> Params:
    """The parameters of a dataset's behaviour policy; raises `DatasetError` if none was stored or it is damaged."""
    path = manifest_path(folder, name)
    behavior = read_manifest(path).behavior
    if behavior.checkpoint is None or behavior.sha256 is None:
        raise DatasetError(f"{path}: no behaviour policy was stored with this dataset; {RECOLLECT}")
    tensors = _load(inside(folder, behavior.checkpoint, error=DatasetError), behavior.sha256, MAX_POLICY)
    return {key: value.clone() for key, value in tensors.items()}


def _load(path: Path, sha256: str | None, limit: int = LIMIT) -> Params:
    """The memory-mapped tensors of a safetensors file, after its SHA-256 has been checked."""
    try:
        if not path.is_file():
            raise DatasetError(f"{path}: is missing although its manifest exists; {RECOLLECT}")
        found = sha256_file(path, limit) if sha256 else None
        if found != sha256:
            raise DatasetError(f"{path}: sha256 is {found}, expected {sha256}: damaged or changed; {RECOLLECT}")
        return mapped_tensors(path)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: cannot be read as safetensors ({error!s:.200}); {RECOLLECT}") from error


def _check_size(path: Path, expected: int) -> None:
    """Raise `DatasetError` for a missing or truncated file before any of it is read."""
    try:
        if not path.is_file():
            raise DatasetError(f"{path}: is missing although its manifest exists; {RECOLLECT}")
        size = path.stat().st_size
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror or error}; {RECOLLECT}") from error
    if size != expected:
        raise DatasetError(f"{path}: has {size} bytes, expected {expected}: truncated or changed; {RECOLLECT}")


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be replaced: {error.strerror or error}") from error
