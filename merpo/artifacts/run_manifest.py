"""The manifest of a run's folder: origin, and the SHA-256 of recipe, artifacts, metrics and report, under a checksum.

Whoever reads a file of a run compares it with the manifest, and the manifest with its checksum, unless told to trust
what is there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from merpo.errors import ArtifactError, DatasetError, MerpoError
from merpo.support.files import Digest, atomic_write_json, atomic_write_text, fingerprint, sha256_file
from merpo.support.read import FileKind

__all__ = [
    "MANIFEST", "check_content", "check_file", "check_files", "read_manifest", "write_last", "write_manifest",
]  # fmt: skip

MANIFEST = "manifest.json"  # what makes a folder a run's

# Files whose digests the manifest of a finished run has, where they exist.
FILES = (
    "recipe.toml",
    "metrics.jsonl",
    "training_curve.json",
    "timings.json",
    "videos/videos.json",
    "report.json",
    "summary.json",
)

_KIND = FileKind("a run's manifest with a seed and artifacts' digests")
_TRUST = "--trust (trust=True in Python) reads it all the same"


class _Manifest(BaseModel):
    """The fields of a run's manifest on which readers depend, among others."""

    model_config = ConfigDict(strict=True)

    seed: int
    artifacts: dict[str, Digest]
    datasets: dict[str, str] = {}
    versions: dict[str, str] = {}
    notes: list[str] = []
    subtracted: list[float] | None = None  # from the observations of the data; None: an older merpo wrote it
    files: dict[str, Digest] = {}


def write_manifest(folder: Path, content: Mapping[str, Any]) -> None:
    """Write the manifest with a checksum over `content`."""
    atomic_write_json(folder / MANIFEST, {**content, "checksum": fingerprint(content)})


def read_manifest(folder: Path, trust: bool = False, hint: str = "") -> dict[str, Any]:
    """The manifest of a run without its checksum, with empty `datasets` and `files` if it has none.

    Raises `ArtifactError` if it is damaged, edited, or without a checksum; with `trust` the checksum is not compared.
    `hint` says how to mend a manifest that is not one.
    """
    path = folder / MANIFEST
    kind = FileKind(_KIND.expected, hint=hint)
    found = kind.read_json(path)
    checksum = found.pop("checksum", None)
    kind.validate(found, path, _Manifest)
    if trust:
        return {"datasets": {}, "files": {}, **found}
    if checksum is None:
        raise ArtifactError(
            f"{path}: has no checksum, as an older merpo wrote it, so it cannot be told whether the run has been "
            f"changed; {_TRUST}, and `merpo report RUN --trust` adds the checksum to a finished run"
        )
    try:
        expected = fingerprint(found)
    except DatasetError as error:  # NaN, infinity, absurd nesting
        kind.refuse(path, f"{error!s:.200}")
    if checksum != expected:
        raise ArtifactError(
            f"{path}: checksum is {checksum!r:.80}, expected {expected}: damaged or edited; restore it, or {_TRUST}"
        )
    return {"datasets": {}, "files": {}, **found}


def check_content(folder: Path, manifest: Mapping[str, Any], name: str, content: bytes) -> None:
    """Raise `ArtifactError` unless `content` is that of the file `name` when the run wrote its manifest."""
    path, expected, found = folder / name, manifest["files"].get(name), hashlib.sha256(content).hexdigest()
    if expected is None:
        raise ArtifactError(f"{path}: the run's manifest has no digest of it, as the run has not finished; {_TRUST}")
    if found != expected:
        raise ArtifactError(f"{path}: {_changed(found, expected)}; restore it, or {_TRUST}")


def check_file(folder: Path, manifest: Mapping[str, Any], name: str, hint: str = "restore it") -> None:
    """Raise `ArtifactError` where the file `name` is there and is not the one in the manifest, if that has one.

    Files without a digest are those of a run that has not finished, and still writes them.
    """
    expected, path = manifest["files"].get(name), folder / name
    if expected is None or not path.exists():
        return
    try:
        found = sha256_file(path) if path.is_file() else _KIND.refuse(path, "not a file", "the one that the run wrote")
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read: {error.strerror or error}") from None
    if found != expected:
        raise ArtifactError(f"{path}: {_changed(found, expected)}; {hint}, or {_TRUST}")


def check_files(folder: Path, anew: str, trust: bool = False) -> None:
    """Raise `ArtifactError` unless all files of a run, of which its manifest has digests, are those that it wrote.

    To be called before its manifest gets new digests, which would make an edited file the run's own. The file that is
    written `anew` may have been damaged.
    """
    if trust or not (folder / MANIFEST).exists():
        return
    manifest = read_manifest(folder)
    for name in FILES:
        if name != anew:
            check_file(folder, manifest, name)


def write_last(folder: Path, name: str, text: str, trust: bool = False) -> None:
    """Write the file `name` that says that a run has finished, after the manifest with the digests of all its files.

    A run that is killed meanwhile has no such file, and goes on from there. In a folder without a manifest, only the
    file is written.
    """
    path = folder / name
    if (folder / MANIFEST).exists():
        manifest = read_manifest(folder, trust)
        files = {one: sha256_file(folder / one) for one in FILES if one != name and (folder / one).is_file()}
        files[name] = hashlib.sha256(text.encode()).hexdigest()
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise MerpoError(f"{path}: cannot be written: {error.strerror or error}") from error
        write_manifest(folder, {**manifest, "files": files})
    atomic_write_text(path, text)


def _changed(found: str, expected: str) -> str:
    return f"has changed since the run wrote it: sha256 is {found}, expected {expected} as in {MANIFEST}"
