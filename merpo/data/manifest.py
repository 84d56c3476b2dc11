"""The manifest of a stored dataset: provenance of its transitions, and sizes and SHA-256 of its files."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from merpo.errors import DatasetError
from merpo.support.files import FILE_NAME, Digest, atomic_write_json, fingerprint, plain
from merpo.support.read import FileKind

__all__ = ["FORMAT_VERSION", "Behavior", "Manifest", "read_manifest", "write_manifest"]

FORMAT_VERSION = 1
RECOLLECT = "collect it again with: merpo collect RECIPE, or delete and import it again"
_LIMIT = 1_000_000  # bytes; a manifest usually has a few thousand
_KIND = FileKind("a dataset's manifest", DatasetError, RECOLLECT, _LIMIT)
Count = Annotated[int, Field(ge=1)]
_STRICT = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class Behavior(BaseModel):
    """The policy that collected the data, and its returns."""

    model_config = _STRICT

    checkpoint: Annotated[str, Field(pattern=FILE_NAME)] | None
    sha256: Digest | None  # of the checkpoint file
    step: Annotated[int, Field(ge=0)]  # training environment steps
    return_mean: float
    return_std: Annotated[float, Field(ge=0.0)]

    @model_validator(mode="after")
    def _digest_of_the_policy(self) -> Self:
        """Refuse a policy without a digest, which could not be compared."""
        if (self.checkpoint is None) != (self.sha256 is None):
            raise ValueError("checkpoint and sha256: expected both or neither")
        return self


class Manifest(BaseModel):
    """Metadata of one task's dataset."""

    model_config = _STRICT

    format_version: Count
    family: str
    family_settings: dict[str, Any]
    task: dict[str, Any]
    task_index: Annotated[int, Field(ge=0)]
    quality: str
    behavior: Behavior
    seed: int
    episodes: Count
    transitions: Count
    observation_dim: Count
    action_dim: Count
    versions: dict[str, str]
    sha256: Digest  # of the safetensors file
    size: Count  # of the safetensors file, in bytes
    settings: dict[str, Any]


def write_manifest(path: Path, content: Mapping[str, Any]) -> Manifest:
    """Write the fields of a `Manifest` with a checksum over them."""
    manifest = _KIND.validate(plain(content), path, Manifest)
    fields = manifest.model_dump(mode="json")
    if len(json.dumps(fields, indent=2)) > _LIMIT - 1000:  # `read_manifest` would refuse the file
        raise DatasetError(
            f"{path}: its parameters and settings take more than {_LIMIT} bytes, expected a few thousand"
        )
    atomic_write_json(path, {**fields, "checksum": fingerprint(fields)})
    return manifest


def read_manifest(path: Path) -> Manifest:
    """Read and check the manifest at `path`; any problem is a `DatasetError`."""
    if not path.exists():
        raise DatasetError(f"{path}: no such dataset; {RECOLLECT}")
    content = _KIND.read_json(path)
    checksum = content.pop("checksum", None)
    version = content.get("format_version")
    if not isinstance(version, int) or isinstance(version, bool):
        _KIND.refuse(path, f"format_version is {reprlib.repr(version)}", f"{FORMAT_VERSION}, as in merpo's manifests")
    if version > FORMAT_VERSION:
        raise DatasetError(
            f"{path}: format {version!r:.20}, this merpo reads up to {FORMAT_VERSION}; upgrade merpo, or {RECOLLECT}"
        )
    try:
        expected = fingerprint(content)
    except DatasetError as error:  # NaN, infinity, absurd nesting
        _KIND.refuse(path, str(error))
    if checksum != expected:
        _KIND.refuse(path, f"checksum is {reprlib.repr(checksum)}: damaged or edited", expected)
    return _KIND.validate(content, path, Manifest)
