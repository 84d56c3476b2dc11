"""Checkpoints on disk: a folder `ckpt-<step>` with one safetensors file and a manifest with its checksum."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import secrets
import shutil
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from merpo.errors import ArtifactError, DatasetError, MerpoError
from merpo.lazy import torch
from merpo.support.files import fingerprint, sync_folder, write_synced
from merpo.support.paths import inside
from merpo.support.read import FileKind
from merpo.support.tensors import parse_tensors, read_tensor_file
from merpo.types import Params
from merpo.version import __version__

__all__ = ["checkpoint_steps", "read_checkpoint", "remove_leftovers", "write_checkpoint"]

FORMAT_VERSION = 1
MANIFEST, STATE = "manifest.json", "state.safetensors"
_KIND = FileKind("a checkpoint's manifest", limit=1_000_000)  # it has some hundreds of bytes


class _File(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    size: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Manifest(BaseModel):
    """A checkpoint's origin, and the size and hash of its file."""

    model_config = ConfigDict(strict=True, extra="forbid")

    format_version: int
    run: str  # the run's fingerprint
    label: str
    step: Annotated[int, Field(ge=0)]
    versions: dict[str, str]
    files: dict[str, _File]


def write_checkpoint(folder: Path, label: str, step: int, run: str, tensors: Params) -> Path:
    """Write `folder/ckpt-<step>` atomically; returns its path.

    The folder's parent must exist: a disk that is no longer mounted is an error. Raises `MerpoError` naming the path if
    the system refuses.
    """
    from safetensors.torch import save

    final = inside(folder, f"ckpt-{step:09d}")
    staged = final.with_name(f"{final.name}.tmp-{os.getpid()}-{secrets.token_hex(4)}")
    state = save({key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()})
    digest = {"size": len(state), "sha256": hashlib.sha256(state).hexdigest()}
    content = {
        "format_version": FORMAT_VERSION,
        "run": run,
        "label": label,
        "step": step,
        "versions": {"python": platform.python_version(), "merpo": __version__, "torch": str(torch.__version__)},
        "files": {STATE: digest},
    }
    manifest = json.dumps({**content, "checksum": fingerprint(content)}, indent=2) + "\n"
    try:
        folder.mkdir(exist_ok=True)
        staged.mkdir()
        try:
            write_synced(staged / STATE, state)
            write_synced(staged / MANIFEST, manifest.encode())
            sync_folder(staged)
            if final.exists():  # a refused checkpoint of the same step
                shutil.rmtree(final)
            staged.rename(final)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
        sync_folder(folder)
    except OSError as error:
        raise MerpoError(f"{final}: cannot be written: {error.strerror or error}") from error
    return final


def checkpoint_steps(folder: Path) -> dict[int, Path]:
    """Checkpoint folders by step, the last one first, not yet validated; empty if `folder` does not exist."""
    try:
        names = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ArtifactError(f"{folder}: cannot be read ({error.strerror or error})") from None
    found = (re.fullmatch(r"ckpt-([0-9]{9,18})", name) for name in names)
    steps = {int(match[1]): inside(folder, match[0], error=ArtifactError) for match in found if match}
    return dict(sorted(steps.items(), reverse=True))


def read_checkpoint(path: Path, label: str, run: str) -> Params:
    """The tensors of a checkpoint of this label and run, copied into memory.

    Raises `ArtifactError` naming the file if anything is missing, truncated, altered, renamed, of another run, or of
    another format.
    """
    manifest = _read_manifest(path / MANIFEST)
    found = {"label": manifest.label, "run": manifest.run, "name": f"ckpt-{manifest.step:09d}"}
    expected = {"label": label, "run": run, "name": path.name}
    for key, value in found.items():
        if value != expected[key]:
            raise ArtifactError(f"{path}: its {key} is {value!r:.80}, expected {expected[key]!r:.80}")
    if set(manifest.files) != {STATE}:
        raise ArtifactError(f"{path}: lists files {sorted(manifest.files)!r:.200}, expected {STATE}")
    return _read_state(path / STATE, manifest.files[STATE])


def remove_leftovers(root: Path) -> None:
    """Remove temporary files of killed writers under a folder that only the caller writes to."""
    leftovers = [*root.rglob(".*.tmp-*"), *root.rglob("ckpt-*.tmp-*")]
    for path in leftovers:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _read_manifest(path: Path) -> _Manifest:
    content = _KIND.read_json(path)
    version = content.get("format_version")
    if version != FORMAT_VERSION or isinstance(version, bool):
        newer = isinstance(version, int) and not isinstance(version, bool) and version > FORMAT_VERSION
        hint = "; a newer merpo wrote it" if newer else ""
        _KIND.refuse(path, f"format version is {version!r:.40}", f"{FORMAT_VERSION}{hint}")
    checksum = content.pop("checksum", None)
    try:
        expected = fingerprint(content)
    except DatasetError as error:  # NaN, infinity, absurd nesting
        _KIND.refuse(path, f"{error!s:.200}")
    if checksum != expected:
        _KIND.refuse(path, f"checksum is {checksum!r:.80}: damaged or edited", expected)
    return _KIND.validate(content, path, _Manifest)


def _read_state(path: Path, expected: _File) -> Params:
    try:
        size = path.stat().st_size
        if size != expected.size:
            raise ArtifactError(f"{path}: has {size} bytes, expected {expected.size}: truncated or changed")
        content = read_tensor_file(path, size)
        if hashlib.sha256(content).hexdigest() != expected.sha256:
            raise ArtifactError(f"{path}: the content has changed: its sha256 is not the recorded one")
        return parse_tensors(content)[0]
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read ({error.strerror or error})") from None
    except ValueError as error:
        raise ArtifactError(f"{path}: damaged, or not a safetensors file ({error!s:.200})") from None
