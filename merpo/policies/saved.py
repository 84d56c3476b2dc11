"""Saved policies, with their tasks, method and normalisation of observations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from merpo.artifacts.artifact import load_artifact
from merpo.artifacts.finished_run import is_run, open_run, require_there
from merpo.artifacts.run_folder import ADAPTED, BEST, META
from merpo.components.component import dump_component
from merpo.components.interfaces import Method
from merpo.data.needed import needed
from merpo.data.normalize import NORMALIZATION
from merpo.errors import ArtifactError, MerpoError, RecipeError
from merpo.lazy import torch
from merpo.policies.acting import Policy
from merpo.policies.checks import check_weights, checked_normalization, header_dims, header_seed
from merpo.policies.task_name import TaskName, check_units, parse_tasks, task_header
from merpo.recipe.recipe import Recipe, from_tables
from merpo.support.read import FileKind
from merpo.types import Normalization, Params

__all__ = ["SavedPolicies", "from_saved", "read_policies", "run_of"]

FILES = (".safetensors", ".onnx")  # of single policies; other paths are folders


class SavedPolicies(NamedTuple):
    """Policies of T tasks, with everything needed to compute actions."""

    place: Path
    method: Method
    policy: Params  # [T, ...]
    normalization: Params  # `mean` and `std`, [O] or [T, O]; empty without normalisation
    tasks: tuple[TaskName, ...]
    observation_dim: int
    action_dim: int
    recipe: Recipe | None  # the run's recipe; None for an exported policy
    seed: int
    trust: bool = False  # whether the run's other files are read, too, if they are not those of its manifest

    def act(self, observations: torch.Tensor) -> torch.Tensor:
        """Deterministic actions [T, B, A] at the environment's observations [T, B, O]."""
        return self.method.act(self.policy, self.normalized(observations))

    def normalized(self, observations: torch.Tensor) -> torch.Tensor:
        """The observations [T, B, O] as input of the policies, normalised if they need it."""
        return Normalization(**self.normalization).apply(observations) if self.normalization else observations

    def one(self, index: int) -> SavedPolicies:
        """The policy of the task with this index, T = 1. Raises `MerpoError` for a missing task."""
        places = [i for i, task in enumerate(self.tasks) if task.index == index]
        if not places:
            known = ", ".join(str(task.index) for task in self.tasks)
            raise MerpoError(f"{self.place}: has no policy for task {index}; there are policies for the tasks {known}")
        at = slice(places[0], places[0] + 1)
        own = {key: value[at] if value.dim() > 1 else value for key, value in self.normalization.items()}
        policy = {key: value[at].contiguous() for key, value in self.policy.items()}
        return self._replace(policy=policy, normalization=own, tasks=self.tasks[at])

    def header(self) -> dict[str, str]:
        """The header of an artifact with these policies, sufficient for `read_policies` without the run."""
        return {
            "method": json.dumps(dump_component(self.method), sort_keys=True),
            "observation_dim": str(self.observation_dim),
            "action_dim": str(self.action_dim),
            "seed": str(self.seed),
            "tasks": task_header(self.tasks),
        }


def read_policies(path: Path, trust: bool = False) -> SavedPolicies:
    """The adapted policies in a run folder, a folder of `merpo adapt`, their artifact, or an export.

    A run's must be those of its manifest, unless `trust`. Raises `ArtifactError` for anything else.
    """
    if path.suffix not in FILES:
        require_there(path)
    folder = path if path.is_dir() else run_of(path)
    if folder is None:
        return _policies(path, None)
    run = open_run(folder, trust)
    name = ADAPTED if folder == path else path.stem
    return _policies(run.artifact(name), run.digest(name))._replace(trust=trust)


def run_of(artifact: Path) -> Path | None:
    """The folder of the run whose artifact this file is; None if it lies elsewhere."""
    folder = artifact.resolve().parent.parent
    return folder if artifact.resolve().parent.name == "artifacts" and is_run(folder) else None


def _policies(path: Path, sha256: str | None) -> SavedPolicies:
    groups, header = load_artifact(path, sha256)
    if "policy" not in groups or not ("method" in header or "recipe" in header) or header.get("stage") in (META, BEST):
        raise ArtifactError(
            f"{path}: holds {', '.join(groups) or 'nothing':.200} of stage {header.get('stage', 'unknown')!r:.80}, "
            "expected adapted policies: a run's folder, its artifacts/adapted.safetensors, or a file of `merpo export`"
        )
    recipe = _recipe(path, header) if "recipe" in header else None
    policy = groups["policy"]
    tasks = _tasks(path, header, recipe)
    if not tasks or any(value.dim() == 0 or value.shape[0] != len(tasks) for value in policy.values()):
        shapes = {key: tuple(value.shape) for key, value in policy.items()}
        raise ArtifactError(f"{path}: policies of {len(tasks)} tasks expected, found tensors of shapes {shapes!s:.200}")
    spec = recipe.tasks.spec() if recipe is not None else None
    dims = spec[:2] if spec is not None else header_dims(path, header)
    method = recipe.method if recipe is not None else _method(path, header)
    check_weights(path, policy)
    normalization = checked_normalization(path, groups.get(NORMALIZATION, {}), len(tasks), dims[0])
    check_units(tasks, dims[1], f"{path}: tasks")
    saved = SavedPolicies(path, method, policy, normalization, tasks, *dims, recipe, header_seed(path, header))
    _try_out(saved)
    return saved


def _recipe(path: Path, header: dict[str, str]) -> Recipe:
    """The recipe in an artifact's header; its required plugins must be installed."""
    return from_tables(_json(path, header, "recipe", dict[str, Any]), f"{path}: recipe")


def _tasks(path: Path, header: dict[str, str], recipe: Recipe | None) -> tuple[TaskName, ...]:
    """The tasks of the policies, from the header, or else the unseen tasks of the recipe."""
    if "tasks" in header:
        return parse_tasks(header["tasks"], f"{path}: tasks")
    if recipe is None:
        raise ArtifactError(f"{path}: the header has neither tasks nor a recipe, expected the tasks of the policies")
    return tuple(TaskName(source.name, source.index, source.task) for source in needed(recipe)[1])


def _method(path: Path, header: dict[str, str]) -> Method:
    from pydantic_core import PydanticCustomError

    from merpo.components.registry import resolve

    table = _json(path, header, "method", dict[str, Any])
    try:
        method = resolve(Method, table)
    except (ValidationError, PydanticCustomError) as error:
        raise RecipeError(f"{path}: method {table.get('component')!r:.80}: {error!s:.300}") from None
    if not isinstance(method, Method):
        raise ArtifactError(f"{path}: method is a {type(method).__name__}, expected a Method")
    return method


def _try_out(saved: SavedPolicies) -> None:
    """Raise `ArtifactError` unless the first policy has a finite action at zeros: its layers may not fit together."""
    try:
        with torch.no_grad():
            found = saved.one(saved.tasks[0].index).act(torch.zeros(1, 1, saved.observation_dim))
    except Exception as error:  # noqa: BLE001 - a method's `act` may raise anything for weights that it does not know
        raise ArtifactError(
            f"{saved.place}: its weights are no policy of method {saved.method.name!r} with {saved.observation_dim} "
            f"observations ({type(error).__name__}: {error!s:.200})"
        ) from None
    kind, expected = (tuple(found.shape), found.dtype), ((1, 1, saved.action_dim), torch.float32)
    if kind != expected:
        raise ArtifactError(f"{saved.place}: its actions are (shape, type) {kind}, expected {expected}")
    if not bool(found.isfinite().all()):
        raise ArtifactError(f"{saved.place}: its action at zeros is {found.flatten()[:8].tolist()}, expected numbers")


def _json(path: Path, header: dict[str, str], key: str, kind: Any) -> Any:
    """An entry of the header that is JSON of a kind."""
    return FileKind("the header of saved policies").parse_model(header[key], f"{path}: {key}", kind)


def from_saved(saved: SavedPolicies, allow_non_finite: bool = False) -> Policy:
    """The policy in `saved`, which must have exactly one task."""

    def rows(observations: Any) -> Any:
        with torch.no_grad():
            return saved.act(torch.as_tensor(observations)[None])[0].numpy()

    return Policy(saved.tasks[0], saved.observation_dim, saved.action_dim, rows, allow_non_finite)
