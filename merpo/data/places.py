"""Paths in the local data store. Every name is validated, so that no path leads outside it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from merpo.errors import DatasetError
from merpo.support.files import FILE_NAME, FILE_NAME_BYTES
from merpo.support.paths import inside, is_name

__all__ = [
    "CURVE",
    "CURVE_PICTURE",
    "LOCK",
    "POLICIES",
    "POLICIES_RECORD",
    "SHARED",
    "collection_dir",
    "collection_path",
    "data_path",
    "manifest_path",
    "policy_path",
    "store_root",
]

# Files shared by all datasets of a collection, deleted with the last of them.
POLICIES = "checkpoints.safetensors"  # of SAC
POLICIES_RECORD = "checkpoints.toml"  # written after the checkpoints, with their SHA-256
CURVE, CURVE_PICTURE = "learning_curve.csv", "learning_curve.png"
LOCK = "collect.lock"  # held while a process writes into a collection
SHARED = (POLICIES, POLICIES_RECORD, CURVE, CURVE_PICTURE)


def store_root() -> Path:
    """The store's root: `MERPO_DATA`, or by default a folder under the user's data folder."""
    chosen = os.environ.get("MERPO_DATA", "").strip()
    if chosen:
        try:
            return Path(chosen).expanduser()
        except RuntimeError as error:
            raise DatasetError(f"MERPO_DATA is {chosen!r}: {error}; expected a folder") from error
    import platformdirs

    return platformdirs.user_data_path("merpo") / "data"


def collection_dir(root: Path, family_name: str, fingerprint: str) -> Path:
    """The folder of a collected family: its name and the first 12 digits of its settings' fingerprint."""
    if not re.fullmatch(r"[0-9a-f]{12,}", fingerprint):
        raise DatasetError(f"fingerprint is {fingerprint!r:.80}, expected at least 12 hexadecimal digits")
    return _in(root, f"{family_name}-{fingerprint[:12]}")


def collection_path(root: Path, name: str) -> Path:
    """The folder of the collection `name`; raises `DatasetError` for a name that leads out of the store."""
    return _in(root, name)


def manifest_path(folder: Path, name: str) -> Path:
    """The path of a dataset's manifest."""
    return _in(folder, name, ".json")


def data_path(folder: Path, name: str) -> Path:
    """The path of a dataset's transitions."""
    return _in(folder, name, ".safetensors")


def policy_path(folder: Path, name: str) -> Path:
    """The path of a dataset's behaviour policy."""
    return _in(folder, name, ".policy.safetensors")


def _in(folder: Path, name: str, suffix: str = "") -> Path:
    good = is_name(name) and len(name.encode()) <= FILE_NAME_BYTES
    if not good or name.endswith(".policy"):  # `x.policy` would clash with the policy of `x`
        raise DatasetError(
            f"{name!r:.80} is not a valid name in the data store: expected letters, digits, '.', '_', '+', '-', "
            f"a letter or digit first, no '.policy' at the end, and at most {FILE_NAME_BYTES} bytes in UTF-8"
        )
    return inside(folder, f"{name}{suffix}", error=DatasetError, pattern=rf"{FILE_NAME[:-1]}{re.escape(suffix)}$")
