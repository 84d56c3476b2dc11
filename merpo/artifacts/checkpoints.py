"""A checkpoint on disk: a folder `ckpt-<step>` of one safetensors file and the manifest that vouches for it."""

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
from merpo.support.read import FileKind
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
    """What a checkpoint is of, and what its file must hash to."""

    model_config = ConfigDict(strict=True, extra="forbid")

    format_version: int
    run: str  # the fingerprint of what is trained
    label: str
    step: Annotated[int, Field(ge=0)]
    versions: dict[str, str]
    files: dict[str, _File]


def write_checkpoint(folder: Path, label: str, step: int, run: str, tensors: Params) -> Path:
    """Write `folder/ckpt-<step>`, which appears whole or not at all; returns it.

    The folder's parent must exist, so that a disk that has vanished is noticed. Raises `MerpoError` naming the path if
    the system refuses.
    """
    from safetensors.torch import save

    final = folder / f"ckpt-{step:09d}"
    staged = folder / f"{final.name}.tmp-{os.getpid()}-{secrets.token_hex(4)}"
    own = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
    state = save(own)
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
            if final.exists():  # one that was refused, and whose step is now reached again
                shutil.rmtree(final)
            staged.rename(final)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
        sync_folder(folder)
    except OSError as error:
        raise MerpoError(f"{final}: cannot be written: {error.strerror or error}") from error
    return final


def checkpoint_steps(folder: Path) -> dict[int, Path]:
    """What look like checkpoints in a folder that need not exist, by step, the last one first."""
    try:
        names = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ArtifactError(f"{folder}: cannot be read ({error.strerror or error})") from None
    steps = {int(match[1]): folder / name for name in names if (match := re.fullmatch(r"ckpt-([0-9]{9,18})", name))}
    return dict(sorted(steps.items(), reverse=True))


def read_checkpoint(path: Path, label: str, run: str) -> Params:
    """The tensors of a checkpoint of this label and run, copied into memory.

    Raises `ArtifactError` naming the file where anything is missing, truncated, altered, renamed, another run's, or of
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
    """Remove what writers that were killed left behind under a folder that only the caller writes."""
    left = [*root.rglob(".*.tmp-*"), *root.rglob("ckpt-*.tmp-*")]
    for path in left:
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
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        size = path.stat().st_size
        if size != expected.size:
            raise ArtifactError(f"{path}: has {size} bytes, expected {expected.size}: truncated or changed")
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != expected.sha256:
            raise ArtifactError(f"{path}: the content has changed: its sha256 is not the recorded one")
        return {key: value.clone() for key, value in load(content).items()}
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ArtifactError(f"{path}: damaged, or not a safetensors file ({error!s:.200})") from None
