"""A run whose files a test has changed, with a manifest that has their digests: as if the run had written them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from merpo.artifacts.run_manifest import FILES, read_manifest, write_manifest
from merpo.support.files import sha256_file

__all__ = ["origin", "seal"]


def seal(run: Path, *, forget: tuple[str, ...] = ()) -> Path:
    """Write the manifest anew, without the artifacts in `forget`; returns the run's folder."""
    manifest = read_manifest(run, trust=True)
    artifacts = {name: digest for name, digest in manifest["artifacts"].items() if name not in forget}
    files = {name: sha256_file(run / name) for name in FILES if (run / name).is_file()}
    write_manifest(run, {**manifest, "artifacts": artifacts, "files": files})
    return run


def origin(run: Path) -> dict[str, Any]:
    """The manifest without the digests of files that have times in them, which no two runs share."""
    return {key: value for key, value in read_manifest(run).items() if key != "files"}
