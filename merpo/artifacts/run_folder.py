"""The folder of a run: its layout, and its writer."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

from merpo.artifacts.artifact import load_artifact, save_artifact
from merpo.artifacts.differences import differences, recipe_there
from merpo.artifacts.run_manifest import MANIFEST, check_file, read_manifest, write_manifest
from merpo.artifacts.versions import versions
from merpo.errors import ArtifactError, MerpoError, PluginError
from merpo.nn.params import ordinary, to_device, tree_map
from merpo.recipe.recipe import Recipe, resolved, to_toml
from merpo.support.files import atomic_write_json, atomic_write_text, fingerprint, plain
from merpo.support.lock import is_lock
from merpo.support.paths import inside
from merpo.support.read import FileKind
from merpo.types import Params

__all__ = [
    "ADAPTED",
    "ADAPTED_WAY",
    "BEST",
    "LOCK",
    "MANIFEST",
    "META",
    "OUTPUTS",
    "REFERENCE",
    "RunFolder",
    "artifact_path",
    "group_names",
    "mean_return",
    "refuse_foreign",
    "run_folders",
]

RECIPE, REPORT = "recipe.toml", "report.json"
WRITTEN_LAST = REPORT, "summary.json"  # those of an earlier process stay until they are replaced
ROUNDING = "threads", "processor", "torch", "numpy"  # versions on which the last bits of results depend
WITHIN = 256  # bytes of the longest path of a file within a run's folder
CONTINUED = "metrics.jsonl", "training_curve.json", "timings.json", "videos/videos.json"  # a resumed run goes on from
LOCK = "run.lock"
META, BEST = "meta", "best-meta"  # artifacts: the final meta-artifact, and the one with the best evaluation
ADAPTED, ADAPTED_WAY = "adapted", "adapted-way"  # artifacts: the unseen tasks' policies, and snapshots and curves
REFERENCE = "reference-"  # prefix of the groups with reference policies in `ADAPTED_WAY`
OUTPUTS = META, BEST, ADAPTED, ADAPTED_WAY  # artifacts that are not the result of a single stage

# Recipe tables that do not affect training, only what is measured or shown: runs that differ in them share stages.
NOT_IN_FINGERPRINT = ("title", "description", "requires", "evaluate", "run")

_ANOTHER = "give another --out"


@final
class RunFolder:
    """A run folder, for writing.

    It has `recipe.toml`, `manifest.json`, `artifacts/*.safetensors`, `metrics.jsonl`, `report.json`, `report.html`. A
    stage that an earlier run of the same recipe, seed and data finished is loaded, not recomputed.
    """

    def __init__(
        self,
        path: Path,
        recipe: Recipe,
        seed: int,
        data: Mapping[str, str],
        note: Callable[[str], None],
        device: str = "cpu",
        trust: bool = False,
        subtracted: Sequence[float] = (),
    ) -> None:
        """`subtracted` are the numbers that an import subtracted from the observations of the data.

        Raises `ArtifactError` for a folder of another run, or with files that are not the run's unless `trust`.
        """
        self.path = path
        self.trust = trust
        self.notes: list[str] = []  # what the report's reader must know of how the run was resumed
        self._note, self._device = note, device
        self._stages: dict[str, dict[str, Params]] = {}
        tables = resolved(recipe)
        self._tables, self._seed, self._data = tables, seed, dict(data)
        trained = {key: value for key, value in tables.items() if key not in NOT_IN_FINGERPRINT}
        self.fingerprint = fingerprint(plain({"recipe": trained, "seed": seed, "data": dict(data)}))
        self._header = {
            "recipe": json.dumps(tables, sort_keys=True),
            "seed": str(seed),
            "fingerprint": self.fingerprint,
            "versions": json.dumps(versions(), sort_keys=True),
        }
        content = {"fingerprint": self.fingerprint, "seed": seed, "versions": versions(), "datasets": dict(data)}
        content["subtracted"] = list(subtracted)
        before, text = self._earlier(), to_toml(recipe)
        kept = {name: digest for name, digest in before.get("files", {}).items() if name in WRITTEN_LAST}
        files = {**kept, RECIPE: hashlib.sha256(text.encode()).hexdigest()}
        self._manifest: dict[str, Any] = {**content, "artifacts": before.get("artifacts", {}), "files": files}
        self.notes += self._resumed(before)
        if self.notes:
            self._manifest["notes"] = self.notes
        write_manifest(path, self._manifest)  # first: it identifies the folder as a run folder
        atomic_write_text(path / RECIPE, text)

    def stage(self, name: str, compute: Callable[[], dict[str, Params]]) -> dict[str, Params]:
        """The result of `compute`, saved as `artifacts/name.safetensors`; loaded from there if it is already saved.

        Raises `ArtifactError` for a file that this run did not write.
        """
        if name in self._stages:
            return self._stages[name]
        if self.finished(name):
            groups, _ = self.load(name)
        else:
            groups = ordinary(compute())
            self.save(name, groups)
        self._stages[name] = groups
        return groups

    def load(self, name: str) -> tuple[dict[str, Params], dict[str, str]]:
        """The groups of a finished artifact, empty ones included, and its header.

        Raises `ArtifactError` for a file that this run did not write.
        """
        path = self.artifact(name)
        groups, header = _load(path, self._manifest["artifacts"][name])
        self._note(f"{name}: loaded from {path}")
        return to_device(groups, self._device), header

    def save(self, name: str, groups: Mapping[str, Params], more: Mapping[str, str] | None = None) -> None:
        """Write groups of parameters as an artifact, and its sha256 into the manifest; `more` are header entries.

        Empty groups (a method without a model) have no tensors; the header lists their names.
        """
        self.check_exists()
        on_cpu: Any = {key: tree_map(lambda x: x.detach().cpu(), params) for key, params in groups.items() if params}
        header = {"stage": name, "groups": json.dumps(sorted(groups)), **self._header, **(more or {})}
        self._manifest["artifacts"][name] = save_artifact(self.artifact(name), on_cpu, header)
        write_manifest(self.path, self._manifest)

    def artifact(self, name: str) -> Path:
        """The path of an artifact; `name` is that of a stage, which a method may choose."""
        return artifact_path(self.path, name, PluginError)

    def recorded(self) -> list[str]:
        """The artifacts in the manifest, in the order of writing."""
        return list(self._manifest["artifacts"])

    def finished(self, name: str) -> bool:
        """Whether the artifact is in the manifest and its file exists."""
        return name in self._manifest["artifacts"] and self.artifact(name).exists()

    def lost(self, name: str) -> bool:
        """Whether the artifact is in the manifest but its file was deleted."""
        return name in self._manifest["artifacts"] and not self.artifact(name).exists()

    def whole(self) -> bool:
        """Whether the files of all artifacts in the manifest exist, apart from the best meta-artifact."""
        return not any(self.lost(name) for name in self.recorded() if name != BEST)

    def read_curve(self) -> dict[str, Any]:
        """The saved evaluations during meta-training, by step."""
        path = self.path / "training_curve.json"
        return FileKind("a run's evaluations by step", hint=_ANOTHER).read_json(path) if path.exists() else {}

    def add_to_curve(self, step: int, point: Mapping[str, Any]) -> None:
        """Save one evaluation during meta-training."""
        self.check_exists()
        atomic_write_json(self.path / "training_curve.json", {**self.read_curve(), str(step): dict(point)})

    def keep_best(self, step: int, score: float, meta: Mapping[str, Params]) -> None:
        """Save the meta-artifact after `step` if its score is the best of the curve; of equal scores the first counts.

        To be called before `add_to_curve`, so that a run interrupted in between repeats both.
        """
        others = ((mean_return(point), -int(at)) for at, point in self.read_curve().items() if int(at) != step)
        if (score, -step) > max(others, default=(-math.inf, 0)):
            self.save(BEST, meta, {"step": str(step), "score": repr(score)})

    def check_exists(self) -> None:
        """Raise `ArtifactError` if the run's files are gone, for example because a disk was unmounted."""
        if not (self.path / MANIFEST).exists():
            raise ArtifactError(f"{self.path}: no longer exists; restore it and run the same command to resume")

    def _earlier(self) -> dict[str, Any]:
        """The manifest that an earlier run of the same recipe, seed and data left; empty if there is none."""
        refuse_foreign(self.path)
        if not (self.path / MANIFEST).exists():
            return {}
        if not self._has_results(read_manifest(self.path, trust=True, hint=_ANOTHER)):
            return {}
        found = read_manifest(self.path, self.trust)
        if found.get("fingerprint") != self.fingerprint:
            differ = self._differences(found) or f"by their fingerprints {str(found.get('fingerprint'))[:12]}"
            raise ArtifactError(
                f"{self.path}: holds a run of another recipe, seed or data: {differ}; give another --out"
            )
        for name in () if self.trust else CONTINUED:
            check_file(self.path, found, name, hint="restore it, or delete it to do without what it says")
        return found

    def _resumed(self, before: Mapping[str, Any]) -> list[str]:
        """A note if there is training left to do, and rounding differs from that of the training before."""
        notes = [str(note) for note in before.get("notes", [])]
        trained = self.finished(META) and self.finished(ADAPTED) and self.whole()
        now, then = self._manifest["versions"], before.get("versions", {})
        differing = [key for key in ROUNDING if before and key in then and then[key] != now.get(key)]
        if differing and not trained:
            told = ", ".join(f"{key} {then[key]} then, {now.get(key)} now" for key in differing)
            notes.append(f"Resumed otherwise than begun ({told}): rounding differs, so results are those of neither.")
            self._note(f"note: {notes[-1]}")
        return list(dict.fromkeys(notes))

    def _differences(self, manifest: Mapping[str, Any]) -> str:
        """The keys in which the folder's recipe, seed or data differ from this run's, with both values."""
        there = {**recipe_there(self.path / RECIPE), "seed": manifest.get("seed")}
        here = {**self._tables, "seed": self._seed}
        known = manifest.get("datasets")
        data = (
            {f"data of {name}": str(digest)[:12] for name, digest in one.items()}
            for one in (known if isinstance(known, dict) else {}, self._data)
        )
        old, new = ({**tables, **digests} for tables, digests in zip((there, here), data, strict=True))
        return differences(old, new, NOT_IN_FINGERPRINT)

    def _has_results(self, manifest: Mapping[str, Any]) -> bool:
        """Whether the folder has any results; a run that failed at its start has none, and may be replaced."""
        written = (self.path / name for name in ("metrics.jsonl", "training_curve.json", "checkpoints", REPORT))
        return bool(manifest.get("artifacts")) or any(path.exists() and path.stat().st_size for path in written)


def artifact_path(folder: Path, name: str, error: type[MerpoError]) -> Path:
    """The path of an artifact."""
    return inside(folder / "artifacts", f"{name}.safetensors", what=f"{folder}: the file of a stage", error=error)


def mean_return(point: Mapping[str, Any]) -> float:
    """The mean return of the policies adapted at one evaluation."""
    returns: list[float] = point["adapted"]
    return math.fsum(returns) / len(returns)


def _load(path: Path, sha256: str) -> tuple[dict[str, Params], dict[str, str]]:
    try:
        groups, header = load_artifact(path, sha256)
    except ArtifactError as error:
        raise ArtifactError(f"{error}; delete it to recompute the stage") from None
    return {name: groups.get(name, {}) for name in group_names(path, header)}, header


def group_names(path: Path, header: Mapping[str, str]) -> list[str]:
    """The groups that a stage's artifact has, empty ones included; raises `ArtifactError` for an odd header."""
    return FileKind("the names of groups").parse_model(header.get("groups", "[]"), f"{path}: groups", list[str])


def run_folders(base: Path, seeds: Sequence[int]) -> list[Path]:
    """The folders of the runs: `base` for one seed, a subfolder for each of several.

    Raises `ArtifactError`, before anything is computed, for a folder with other content.
    """
    if len(seeds) == 1:
        refuse_foreign(base)
        return [base]
    others = [name for name in _names(base) if name != "summary.json" and not name.startswith("seed-")]
    if others:
        expected = "expected a new folder, or one with folders seed-*"
        raise ArtifactError(f"{base}: contains {others[0]}, {expected}; give another --out")
    folders = [inside(base, f"seed-{seed}", error=ArtifactError) for seed in seeds]
    for folder in folders:
        refuse_foreign(folder)
    return folders


def refuse_foreign(path: Path) -> None:
    """Raise `ArtifactError` for a folder with content that is not a run folder, or whose path is too long for one."""
    length = len(os.fsencode(path)) + WITHIN
    if hasattr(os, "pathconf") and length > (most := os.pathconf("/", "PC_PATH_MAX")):
        raise ArtifactError(
            f"{path}: the path has {length - WITHIN} bytes, expected at most {most - WITHIN}, as those of a run's "
            "files begin with it; give another --out"
        )
    if not (path / MANIFEST).exists() and _names(path):
        raise ArtifactError(f"{path}: is not empty and not a run folder; give another --out")


def _names(path: Path) -> list[str]:
    """Names in a folder, without temporary files and locks; empty if the folder does not exist."""
    try:
        names = sorted(p.name for p in path.iterdir())
        return [name for name in names if not re.fullmatch(r"\..+\.tmp-.*", name) and not is_lock(name)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be a run folder ({error.strerror or error}); give another --out") from None
