"""Saved policies, with their tasks, method and normalisation of observations."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, final

from pydantic import ValidationError

from merpo.artifacts.artifact import load_artifact
from merpo.artifacts.run_folder import ADAPTED, BEST, META, is_run, open_run, require_there
from merpo.components.component import dump_component
from merpo.components.interfaces import Method
from merpo.data.needed import needed
from merpo.data.normalize import NORMALIZATION
from merpo.errors import ArtifactError, MerpoError, RecipeError
from merpo.lazy import np, torch
from merpo.recipe.recipe import Recipe, from_tables
from merpo.support.read import FileKind
from merpo.types import Normalization, Params, Task

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Policy", "SavedPolicies", "TaskName", "read_policies", "run_of", "task_header"]

FILES = (".safetensors", ".onnx")  # of single policies; other paths are folders


@dataclass(frozen=True)
class TaskName:
    """The task that a policy is for."""

    name: str
    index: int
    params: Task


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


def task_header(tasks: Sequence[TaskName]) -> str:
    """The header entry with the tasks of an artifact's policies."""
    return json.dumps([asdict(task) for task in tasks], sort_keys=True)


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
            f"{path}: holds {', '.join(groups) or 'nothing'} of stage {header.get('stage', 'unknown')!r}, expected "
            "adapted policies: a run's folder, its artifacts/adapted.safetensors, or a file of `merpo export`"
        )
    recipe = _recipe(path, header) if "recipe" in header else None
    policy = groups["policy"]
    tasks = _tasks(path, header, recipe)
    if any(value.dim() == 0 or value.shape[0] != len(tasks) for value in policy.values()):
        shapes = {key: tuple(value.shape) for key, value in policy.items()}
        raise ArtifactError(f"{path}: policies of {len(tasks)} tasks expected, found tensors of shapes {shapes!s:.200}")
    spec = recipe.tasks.spec() if recipe is not None else None
    dims = spec[:2] if spec is not None else _dims(path, header)
    method = recipe.method if recipe is not None else _method(path, header)
    seed = int(header["seed"]) if header.get("seed", "").isdigit() else 0
    normalization = _checked_normalization(path, groups.get(NORMALIZATION, {}), len(tasks), dims[0])
    return SavedPolicies(path, method, policy, normalization, tasks, *dims, recipe, seed)


def _recipe(path: Path, header: dict[str, str]) -> Recipe:
    """The recipe in an artifact's header; its required plugins must be installed."""
    return from_tables(_json(path, header, "recipe", dict[str, Any]), f"{path}: recipe")


def _tasks(path: Path, header: dict[str, str], recipe: Recipe | None) -> tuple[TaskName, ...]:
    """The tasks of the policies, from the header, or else the unseen tasks of the recipe."""
    if "tasks" in header:
        return tuple(_json(path, header, "tasks", list[TaskName]))
    if recipe is None:
        raise ArtifactError(f"{path}: the header has neither tasks nor a recipe, expected the tasks of the policies")
    return tuple(TaskName(source.name, source.index, source.task) for source in needed(recipe)[1])


def _dims(path: Path, header: dict[str, str]) -> tuple[int, int]:
    found = [header.get(key, "") for key in ("observation_dim", "action_dim")]
    if not all(text.isdigit() and int(text) > 0 for text in found):
        raise ArtifactError(f"{path}: (observation, action) dims in the header are {found}, expected integers >= 1")
    return int(found[0]), int(found[1])


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


def _checked_normalization(path: Path, group: Params, tasks: int, observation_dim: int) -> Params:
    """The group `normalization`, checked for T tasks and O observation dims; it may be empty."""
    if not group:
        return {}
    allowed = [(observation_dim,), (tasks, observation_dim)]
    shapes = {key: tuple(value.shape) for key, value in group.items()}
    if set(group) != {"mean", "std"} or any(shape not in allowed for shape in shapes.values()):
        raise ArtifactError(f"{path}: {NORMALIZATION} has {shapes}, expected mean and std of shape {allowed}")
    if not all(bool(value.isfinite().all()) for value in group.values()) or bool((group["std"] < 0).any()):
        raise ArtifactError(f"{path}: {NORMALIZATION}: expected finite numbers and std >= 0")
    return dict(group)


def _json(path: Path, header: dict[str, str], key: str, kind: Any) -> Any:
    """An entry of the header that is JSON of a kind."""
    return FileKind("the header of saved policies").parse_model(header[key], f"{path}: {key}", kind)


@final
class Policy:
    """One task's policy: `policy(observation)` returns its deterministic action, in [-1, 1].

    `task` is the task's name, index and parameters; `observation_dim` and `action_dim` are O and A.
    """

    def __init__(
        self,
        task: TaskName,
        observation_dim: int,
        action_dim: int,
        rows: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    ) -> None:
        self.task, self.observation_dim, self.action_dim = task, observation_dim, action_dim
        self._rows = rows

    def __call__(self, observation: ArrayLike) -> NDArray[np.float32]:
        """The action [A] at one observation [O], or actions [B, A] at several [B, O], of any array type.

        Raises `MerpoError` for another shape.
        """
        given = np.asarray(observation, dtype=np.float32)
        if given.ndim not in (1, 2) or given.shape[-1] != self.observation_dim:
            expected = f"[{self.observation_dim}] or [B, {self.observation_dim}]"
            raise MerpoError(
                f"policy of {self.task.name}: got an observation of shape {given.shape}, expected {expected}"
            )
        actions = self._rows(np.atleast_2d(given))
        return actions[0] if given.ndim == 1 else actions

    def __repr__(self) -> str:
        return f"Policy({self.task.name!r}, {self.observation_dim} observations -> {self.action_dim} actions)"


def from_saved(saved: SavedPolicies) -> Policy:
    """The policy in `saved`, which must have exactly one task."""

    def rows(observations: Any) -> Any:
        with torch.no_grad():
            return saved.act(torch.as_tensor(observations)[None])[0].numpy()

    return Policy(saved.tasks[0], saved.observation_dim, saved.action_dim, rows)
