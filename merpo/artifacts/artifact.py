"""Artifacts: a stage's results as one safetensors file, with its origin in the header."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from merpo.errors import ArtifactError
from merpo.support.checksum import PLACE, checksum_problem, with_checksum
from merpo.support.files import atomic_write_bytes, tensors_content
from merpo.support.tensors import parse_tensors, read_tensor_file
from merpo.types import Params

__all__ = ["FORMAT_VERSION", "Groups", "load_artifact", "save_artifact"]

FORMAT_VERSION = 2  # since 2 an artifact carries a checksum
READ_VERSIONS = ("1", "2")
CHECKSUM = "checksum"  # header entry
_KEY = "merpo-artifact"  # a single metadata entry, because safetensors writes several in varying order

Groups: TypeAlias = "dict[str, Params]"  # e.g. "meta_policy" -> its parameters


def save_artifact(path: Path, groups: Mapping[str, Params], header: Mapping[str, str]) -> str:
    """Write groups of parameters as tensors `group/parameter`, atomically, and return the file's sha256.

    `header` holds text only: the stage's name, the resolved recipe as JSON, versions; `format_version` and a checksum
    over the whole file are added.
    Raises `ArtifactError` for a group without tensors, a group named with a slash, or text that is not `str`.
    """
    for name, params in groups.items():
        if not name or "/" in name or not params:
            raise ArtifactError(
                f"{path}: group {name!r} with {len(params)} tensors, expected a name without '/' and a tensor"
            )
    for key, value in header.items():
        if not isinstance(value, str):
            raise ArtifactError(f"{path}: header {key!r} is {type(value).__name__}, expected text")
    tensors = {f"{group}/{key}": value for group, params in groups.items() for key, value in params.items()}
    text = json.dumps({**header, "format_version": str(FORMAT_VERSION), CHECKSUM: PLACE}, sort_keys=True)
    content = with_checksum(tensors_content(tensors, {_KEY: text}))
    atomic_write_bytes(path, content)
    return hashlib.sha256(content).hexdigest()


def load_artifact(path: Path, sha256: str | None = None) -> tuple[Groups, dict[str, str]]:
    """The groups and the header of an artifact, checked against its own checksum, and its recorded `sha256` if given.

    Artifacts of format 1 carry no checksum. The tensors are copies, independent of later changes to the file. Raises
    `ArtifactError` for a file that is missing, truncated, altered, not an artifact, or of a newer format.
    """
    try:
        content = read_tensor_file(path)
    except OSError as error:
        raise ArtifactError(f"{path}: cannot read this artifact ({error.strerror or error})") from None
    except ValueError as error:
        raise ArtifactError(f"{path}: damaged, or not a safetensors file ({error})") from None
    found = hashlib.sha256(content).hexdigest()
    if sha256 is not None and found != sha256:
        raise ArtifactError(f"{path}: the content has changed: sha256 is {found}, expected {sha256}")
    header, tensors = _parse(path, content)
    groups: Groups = {}
    for name, tensor in tensors.items():
        group, slash, key = name.partition("/")
        if not (group and slash and key):
            raise ArtifactError(f"{path}: tensor {name!r}, expected 'group/parameter'")
        groups.setdefault(group, {})[key] = tensor
    return groups, header


def _parse(path: Path, content: bytes) -> tuple[dict[str, str], Params]:
    """Header and tensors of a file's content; each tensor owns its memory."""
    try:
        tensors, metadata = parse_tensors(content)
        header = json.loads(metadata[_KEY]) if _KEY in metadata else None
    except (ValueError, TypeError, RecursionError) as error:
        raise ArtifactError(f"{path}: damaged, or not a safetensors file ({error})") from None
    if not isinstance(header, dict) or not all(isinstance(value, str) for value in header.values()):
        raise ArtifactError(
            f"{path}: a safetensors file, but not an artifact of merpo (header entry {_KEY!r} expected)"
        )
    version = header.get("format_version", "none")
    if version not in READ_VERSIONS:
        known = " or ".join(map(repr, READ_VERSIONS))
        raise ArtifactError(f"{path}: format version {version!r:.40}, expected {known}; use the merpo that wrote it")
    checksum = header.pop(CHECKSUM, None)
    if version != "1" and (problem := checksum_problem(content, checksum)):
        raise ArtifactError(f"{path}: {problem}")
    return header, tensors
