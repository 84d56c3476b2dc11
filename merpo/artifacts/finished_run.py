"""Runs in their folders, for reading: their recipes, manifests and artifacts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from merpo.artifacts.artifact import load_artifact
from merpo.artifacts.run_folder import RECIPE, REPORT, artifact_path, group_names
from merpo.artifacts.run_manifest import MANIFEST, check_content, read_manifest
from merpo.errors import ArtifactError, nearest
from merpo.recipe.recipe import Recipe, from_tables
from merpo.recipe.text import parse, recipe_text
from merpo.types import Params

__all__ = ["FinishedRun", "find_runs", "is_run", "open_run", "require_there"]

_DEPTH = 3  # levels of a sweep's folder: sweep/variant/seed


class FinishedRun(NamedTuple):
    """A folder of `merpo run` or `merpo adapt`, for reading: its recipe, seed and manifest."""

    path: Path
    recipe: Recipe
    seed: int
    manifest: dict[str, Any]
    trust: bool = False  # whether files are read that are not those of the manifest

    def artifact(self, name: str) -> Path:
        """The path of an artifact; `ArtifactError` if the run has not finished it."""
        known = self.manifest["artifacts"]
        if name not in known:
            raise ArtifactError(
                f"{self.path}: has no artifact {name!r}{nearest(name, known)}; it has: {', '.join(known) or 'none'}. "
                f"Run its recipe again with --out {self.path} to compute what is missing"
            )
        return artifact_path(self.path, name, ArtifactError)

    def digest(self, name: str) -> str | None:
        """The sha256 that the file of an artifact must have; None if it is trusted whatever it is."""
        return None if self.trust else str(self.manifest["artifacts"][name])

    def groups(self, name: str) -> dict[str, Params]:
        """The groups of an artifact, empty ones included, checked against the digest in the manifest."""
        path = self.artifact(name)
        groups, header = load_artifact(path, self.digest(name))
        return {group: groups.get(group, {}) for group in group_names(path, header) or groups}


def is_run(path: Path) -> bool:
    """Whether a folder is the run folder of one run."""
    return (path / MANIFEST).is_file() and (path / RECIPE).is_file()


def require_there(path: Path) -> None:
    """Raise `ArtifactError` for a path that does not exist, with the nearest name beside it."""
    if path.exists():
        return
    try:
        beside = [other.name for other in path.parent.iterdir()]
    except OSError:
        beside = []
    raise ArtifactError(f"{path}: no such file or folder{nearest(path.name, beside)}, expected a run's folder")


def open_run(path: Path, trust: bool = False) -> FinishedRun:
    """The run in a folder; raises `ArtifactError` if there is none, listing runs in subfolders.

    Its recipe must be the one that the run wrote, as the manifest says, and so must artifacts when they are read,
    unless `trust`.
    """
    require_there(path)
    if not is_run(path):
        below = [str(run) for run in _runs_below(path, MANIFEST)]
        hint = f"; it has runs in subfolders, give one of them: {', '.join(below[:4])}" if below else ""
        raise ArtifactError(f"{path}: is not a run folder (expected {MANIFEST} and {RECIPE} in it){hint}")
    manifest = read_manifest(path, trust)
    text = recipe_text(path / RECIPE)
    if not trust:
        check_content(path, manifest, RECIPE, text.encode())
    recipe = from_tables(parse(text, path / RECIPE), str(path / RECIPE))
    return FinishedRun(path, recipe, manifest["seed"], manifest, trust)


def find_runs(paths: Sequence[Path]) -> list[Path]:
    """The folders of finished runs (those with a report) in `paths` and their subfolders, each once, in order.

    Raises `ArtifactError` for a path without any.
    """
    found: dict[Path, None] = {}
    for path in paths:
        require_there(path)
        runs = _runs_below(path, REPORT)
        if not runs:
            raise ArtifactError(f"{path}: has no finished run (expected a {REPORT} in it or in its subfolders)")
        found |= dict.fromkeys(runs)
    return list(found)


def _runs_below(path: Path, name: str, depth: int = _DEPTH) -> list[Path]:
    """The run folders with a file `name` among `path` and its subfolders."""
    if is_run(path):
        return [path] if (path / name).is_file() else []
    if depth == 0 or not path.is_dir():
        return []
    folders = sorted((p for p in path.iterdir() if p.is_dir() and not p.name.startswith(".")), key=_by_number)
    return [run for folder in folders for run in _runs_below(folder, name, depth - 1)]


def _by_number(path: Path) -> tuple[str, int, str]:
    """Sort key for natural order: `seed-2` before `seed-10`."""
    stem = path.name.rstrip("0123456789")
    digits = path.name[len(stem) :]
    return stem, int(digits or 0), path.name
