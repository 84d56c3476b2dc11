"""A run's folder: what the run is, the stages it has finished, and what it measured on the way."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, final

import merpo
from merpo.artifacts import load_artifact, save_artifact
from merpo.errors import ArtifactError
from merpo.files import atomic_write_json, atomic_write_text
from merpo.manifest import fingerprint, plain
from merpo.params import to_device, tree_map
from merpo.recipe import Recipe, resolved, to_toml
from merpo.types import Params

__all__ = ["RunFolder", "versions"]

# What may differ between two runs that share their stages: it changes what is measured or shown, not what is trained.
UNTRAINED = ("title", "description", "requires", "evaluate", "run")


def versions() -> dict[str, str]:
    """Versions of everything that numbers depend on, and of the distributions whose plugins are loaded."""
    import importlib.metadata
    import platform

    from merpo.registry import components

    names = {"gymnasium", "numpy", "pydantic", "torch"} | {e.distribution for e in components() if e.status == "ok"}
    found = {"python": platform.python_version(), "merpo": merpo.__version__}
    for name in sorted(names - {"merpo"}):
        found[name] = importlib.metadata.version(name)
    return found


@final
class RunFolder:
    """`recipe.toml`, `manifest.json`, `artifacts/*.safetensors`, `metrics.jsonl`, `report.json`, `report.html`.

    A stage that an earlier run of the same recipe, seed and data finished here is loaded, not computed again.
    """

    def __init__(
        self,
        path: Path,
        recipe: Recipe,
        seed: int,
        data: Mapping[str, str],
        note: Callable[[str], None],
        device: str = "cpu",
    ) -> None:
        self.path = path
        self._note, self._device = note, device
        self._stages: dict[str, dict[str, Params]] = {}
        tables = resolved(recipe)
        trained = {key: value for key, value in tables.items() if key not in UNTRAINED}
        self.fingerprint = fingerprint(plain({"recipe": trained, "seed": seed, "data": dict(data)}))
        self._header = {
            "recipe": json.dumps(tables, sort_keys=True),
            "seed": str(seed),
            "fingerprint": self.fingerprint,
            "versions": json.dumps(versions(), sort_keys=True),
        }
        self._refuse_another_run()
        (path / "artifacts").mkdir(parents=True, exist_ok=True)
        atomic_write_text(path / "recipe.toml", to_toml(recipe))
        content = {"fingerprint": self.fingerprint, "seed": seed, "versions": versions(), "datasets": dict(data)}
        atomic_write_json(path / "manifest.json", content)

    def stage(self, name: str, compute: Callable[[], dict[str, Params]]) -> dict[str, Params]:
        """What `compute` gives, saved as `artifacts/name.safetensors`; loaded from there if this run has it already."""
        if name in self._stages:
            return self._stages[name]
        path = self.artifact(name)
        if path.exists():
            groups, header = load_artifact(path)
            if header.get("fingerprint") != self.fingerprint:
                raise ArtifactError(f"{path}: belongs to another recipe, seed or data; give another --out")
            groups = to_device(groups, self._device)
            self._note(f"{name}: loaded from {path}")
        else:
            groups = compute()
            self.save(name, groups)
        self._stages[name] = groups
        return groups

    def save(self, name: str, groups: Mapping[str, Params]) -> None:
        """Write groups of parameters as an artifact; empty groups (a method without a model) are left out."""
        on_cpu: Any = {key: tree_map(lambda x: x.detach().cpu(), params) for key, params in groups.items() if params}
        save_artifact(self.artifact(name), on_cpu, {"stage": name, **self._header})

    def artifact(self, name: str) -> Path:
        """Where a stage's artifact is."""
        return self.path / "artifacts" / f"{name}.safetensors"

    def read_curve(self) -> dict[str, Any]:
        """The evaluations during meta-training that this folder holds, by step."""
        path = self.path / "training_curve.json"
        return json.loads(path.read_text("utf-8")) if path.exists() else {}

    def add_to_curve(self, step: int, point: Mapping[str, Any]) -> None:
        """Record one evaluation during meta-training."""
        atomic_write_json(self.path / "training_curve.json", {**self.read_curve(), str(step): dict(point)})

    def _refuse_another_run(self) -> None:
        manifest = self.path / "manifest.json"
        if not manifest.exists():
            if self.path.is_dir() and any(self.path.iterdir()):
                raise ArtifactError(f"{self.path}: is not empty and not a run folder; give another --out")
            return
        try:
            found = json.loads(manifest.read_text("utf-8"))["fingerprint"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ArtifactError(f"{manifest}: cannot be read ({error}); give another --out") from None
        if found != self.fingerprint:
            raise ArtifactError(
                f"{self.path}: holds a run of another recipe, seed or data ({found[:12]}, expected "
                f"{self.fingerprint[:12]}); give another --out"
            )
