"""Where runs may go: a folder that is empty, or holds a run already."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from merpo.errors import ArtifactError
from merpo.support.lock import is_lock

__all__ = ["MANIFEST", "refuse_foreign", "run_folders"]

MANIFEST = "manifest.json"  # what makes a folder a run's


def run_folders(base: Path, seeds: Sequence[int]) -> list[Path]:
    """Where the runs go: `base` for one seed, a folder in it for each of several.

    Raises `ArtifactError`, before anything is computed, for a place that holds something else.
    """
    if len(seeds) == 1:
        refuse_foreign(base)
        return [base]
    others = [name for name in _names(base) if name != "summary.json" and not name.startswith("seed-")]
    if others:
        raise ArtifactError(f"{base}: holds {others[0]}, expected no folder, or one of other seeds; give another --out")
    folders = [base / f"seed-{seed}" for seed in seeds]
    for folder in folders:
        refuse_foreign(folder)
    return folders


def refuse_foreign(path: Path) -> None:
    """Refuse a folder in which something lies that is no run's."""
    if not (path / MANIFEST).exists() and _names(path):
        raise ArtifactError(f"{path}: is not empty and not a run folder; give another --out")


def _names(path: Path) -> list[str]:
    """What lies in a folder that need not exist, but for what a run that was killed at its start may leave."""
    try:
        names = sorted(p.name for p in path.iterdir())
        return [name for name in names if not re.fullmatch(r"\..+\.tmp-.*", name) and not is_lock(name)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be a run folder ({error.strerror or error}); give another --out") from None
