"""A run's folder as those read it who come after training: nothing is written, and every artifact is checked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from merpo.artifacts.artifact import load_artifact
from merpo.errors import ArtifactError, nearest
from merpo.recipe.recipe import Recipe, load_recipe
from merpo.types import Params

__all__ = ["FinishedRun", "find_runs", "is_run", "open_run", "read_manifest"]

MANIFEST, RECIPE, REPORT = "manifest.json", "recipe.toml", "report.json"
_DEPTH = 3  # folders between a sweep and its runs: sweep/variant/seed


class FinishedRun(NamedTuple):
    """The folder of `merpo run` or of `merpo adapt`: its recipe, its seed, and what its manifest vouches for."""

    path: Path
    recipe: Recipe
    seed: int
    manifest: dict[str, Any]

    def artifact(self, name: str) -> Path:
        """Where an artifact is; `ArtifactError` where the run has not finished it."""
        known = self.manifest["artifacts"]
        if name not in known:
            raise ArtifactError(
                f"{self.path}: has no artifact {name!r}{nearest(name, known)}; it has: {', '.join(known) or 'none'}. "
                f"Run its recipe again with --out {self.path}: what is finished is loaded, the rest is computed"
            )
        return self.path / "artifacts" / f"{name}.safetensors"

    def groups(self, name: str) -> dict[str, Params]:
        """The groups of an artifact, empty ones included, once its digest is the one in the manifest."""
        groups, header = load_artifact(self.artifact(name), self.manifest["artifacts"][name])
        return {group: groups.get(group, {}) for group in json.loads(header.get("groups", "[]")) or groups}


def is_run(path: Path) -> bool:
    """Whether a folder is that of one run."""
    return (path / MANIFEST).is_file() and (path / RECIPE).is_file()


def open_run(path: Path) -> FinishedRun:
    """The run in a folder; `ArtifactError` where there is none, with the runs that lie below it."""
    if not is_run(path):
        below = [str(run) for run in _below(path, MANIFEST)]
        hint = f"; it holds several runs, give one of them: {', '.join(below[:4])}" if below else ""
        raise ArtifactError(f"{path}: is no run's folder (expected {MANIFEST} and {RECIPE} in it){hint}")
    manifest = read_manifest(path)
    return FinishedRun(path, load_recipe(path / RECIPE), manifest["seed"], manifest)


def find_runs(paths: Sequence[Path]) -> list[Path]:
    """The folders of finished runs (those with a report) that `paths` are or hold, each once, in the given order.

    Raises `ArtifactError` for a path without any.
    """
    found: dict[Path, None] = {}
    for path in paths:
        runs = _below(path, REPORT)
        if not runs:
            raise ArtifactError(f"{path}: holds no finished run (expected a {REPORT} in it, or in folders in it)")
        found |= dict.fromkeys(runs)
    return list(found)


def _below(path: Path, name: str, depth: int = _DEPTH) -> list[Path]:
    """The folders with both a run's manifest and a file `name`, from `path` downwards."""
    if is_run(path):
        return [path] if (path / name).is_file() else []
    if depth == 0 or not path.is_dir():
        return []
    folders = sorted((p for p in path.iterdir() if p.is_dir() and not p.name.startswith(".")), key=_by_number)
    return [run for folder in folders for run in _below(folder, name, depth - 1)]


def _by_number(path: Path) -> tuple[str, int, str]:
    """`seed-2` before `seed-10`."""
    stem = path.name.rstrip("0123456789")
    digits = path.name[len(stem) :]
    return stem, int(digits or 0), path.name


def read_manifest(folder: Path) -> dict[str, Any]:
    """A run's manifest, in which there are a seed and artifacts' digests; `ArtifactError` where it is damaged."""
    path = folder / MANIFEST
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ArtifactError(f"{path}: cannot be read ({error!s:.200})") from None
    good = isinstance(found, dict) and isinstance(found.get("seed"), int) and isinstance(found.get("artifacts"), dict)
    if not good or not all(isinstance(text, str) for pair in found["artifacts"].items() for text in pair):
        raise ArtifactError(f"{path}: expected a run's manifest: an object with a seed and artifacts' digests")
    return dict(found)
