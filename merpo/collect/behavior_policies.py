"""Behaviour policies of a collection: finding, training, saving and loading them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import tomli_w
from pydantic import BaseModel, ConfigDict, Field

from merpo.artifacts.artifact import load_artifact, save_artifact
from merpo.artifacts.checkpoints import checkpoint_steps
from merpo.artifacts.keeper import CHECKPOINTS, Keeper
from merpo.collect.plan import check_space, estimate_seconds, measure_pace, plan_collection, plan_lines
from merpo.collect.train import LOOP, BehaviorPolicies, train_behavior
from merpo.components.component import dump_component
from merpo.components.context import Context
from merpo.components.interfaces import Critic
from merpo.data.places import POLICIES, POLICIES_RECORD, store_root
from merpo.errors import ArtifactError, PluginError
from merpo.recipe.recipe import Recipe
from merpo.support.files import Digest, atomic_write_text, fingerprint, plain, sha256_file
from merpo.support.format import duration
from merpo.support.read import FileKind
from merpo.types import Task

__all__ = ["announce_plan", "ensure_policies", "find_trained", "read_behavior_policies", "save_policies"]

Note = Callable[[str], None]


def announce_plan(
    recipe: Recipe, folder: Path, tasks: list[Task], qualities: list[str], context: Context, note: Note
) -> None:
    """Report the remaining work for datasets of these qualities, and an estimate of its duration.

    Raises `DatasetError` if the disk has too little space.
    """
    critic, settings = _critic(recipe), recipe.collect
    last_step = next(iter(checkpoint_steps(folder / CHECKPOINTS / LOOP)), 0)
    found = find_trained(recipe, folder)
    since = last_step if found is None else None
    size = len(tasks), recipe.data.episodes, qualities
    plan = plan_collection(recipe.tasks, critic, settings, *size, since, copied=found != folder)
    for line in plan_lines(plan, check_space(folder, plan)):
        note(f"data: {line}")
    pace = measure_pace(recipe.tasks, critic, tasks, settings, context)
    time = duration(estimate_seconds(plan, pace, len(tasks)))
    note(f"data: about {time}, estimated from {pace.steps} steps on this machine at its current load")


def ensure_policies(recipe: Recipe, folder: Path, tasks: list[Task], context: Context, note: Note) -> BehaviorPolicies:
    """The SAC policies of every task, loaded or trained, and saved in `folder`."""
    keeper = Keeper(folder / CHECKPOINTS, folder.name, recipe.run.checkpoint_every, note)
    found = find_trained(recipe, folder)
    if found is None:
        resumable = replace(context, resume=keeper.resume, save_state=keeper.save_state)
        with keeper.named():
            trained = train_behavior(recipe.tasks, _critic(recipe), tasks, recipe.collect, resumable)
    else:
        trained = read_behavior_policies(recipe, found)
    if found not in (None, folder):
        note(f"data: behaviour policies copied from {found}, which was trained with the same settings")
    if found != folder:
        save_policies(recipe, folder, trained)
    keeper.finish()
    return trained


def _critic(recipe: Recipe) -> Critic:
    """The critic component for SAC."""
    from merpo.components.registry import get

    settings = {"hidden": recipe.collect.hidden, "output_scale": recipe.collect.value_scale}
    critic = get("critic", "conservative").model_validate(settings)
    if not isinstance(critic, Critic):
        raise PluginError(f"critic/conservative is a {type(critic).__name__}, expected a Critic")
    return critic


FORMAT_VERSION = 1
TRAINING = "training"  # header entry of the policies' file: what their record has, too
_RECORD = FileKind("a record of behaviour policies", limit=10_000)  # it has two hundred bytes


class _Record(BaseModel):
    """The hash of a collection's policies, and the fingerprint of everything that their training depends on."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    format_version: Annotated[int, Field(ge=1, le=FORMAT_VERSION)]
    sha256: Digest
    training: Digest


def find_trained(recipe: Recipe, folder: Path) -> Path | None:
    """The folder with the recipe's behaviour policies: the collection's own, or another with the same training.

    Collections that differ only in the number of episodes or in the medium checkpoint have the same policies.
    """
    if (folder / POLICIES).exists():
        return folder
    training = _training(recipe)
    for path in sorted(store_root().glob(f"{recipe.tasks.name}-*/{POLICIES_RECORD}")):
        try:
            if _read_record(path).training == training and (path.parent / POLICIES).exists():
                return path.parent
        except ArtifactError:  # reported when that collection itself is read
            continue
    return None


def read_behavior_policies(recipe: Recipe, folder: Path) -> BehaviorPolicies:
    """The policies in `folder`; raises `ArtifactError` if their file is damaged, or of another training.

    A record is written where it is missing, as after a kill, if the file itself says that it is of this training.
    """
    path, record = folder / POLICIES, folder / POLICIES_RECORD
    try:
        known = _read_record(record) if record.exists() else None
        groups, header = load_artifact(path, None if known is None else known.sha256)
        _check_training(header.get(TRAINING) if known is None else known.training, recipe)
        curve = groups["curve"]
        found = BehaviorPolicies(groups["policies"], [int(step) for step in curve["steps"]], curve["returns"])
    except (ArtifactError, KeyError) as error:
        raise ArtifactError(
            f"{path}: {error}; delete it and {POLICIES_RECORD} to train the behaviour policies again"
        ) from None
    if known is None:
        _write_record(folder, sha256_file(path), recipe)
    return found


def save_policies(recipe: Recipe, folder: Path, trained: BehaviorPolicies) -> None:
    """Save the policies in `folder`, for datasets of any quality."""
    (folder / POLICIES_RECORD).unlink(missing_ok=True)  # a stale record of a deleted file
    curve = {"steps": trained.returns.new_tensor(trained.steps), "returns": trained.returns}
    header = {"stage": "collect", "family": recipe.tasks.name, TRAINING: _training(recipe)}
    sha256 = save_artifact(folder / POLICIES, {"policies": trained.policies, "curve": curve}, header)
    _write_record(folder, sha256, recipe)


def _check_training(found: str | None, recipe: Recipe) -> None:
    """Raise `ArtifactError` unless policies are of the training that the recipe asks for."""
    if found is None:
        raise ArtifactError(
            f"neither {POLICIES_RECORD} beside it nor the file itself, which an older merpo wrote, says of which "
            "training they are"
        )
    if found != (expected := _training(recipe)):
        raise ArtifactError(f"is of another training: its fingerprint is {found:.12}, expected {expected:.12}")


def _training(recipe: Recipe) -> str:
    """The fingerprint of everything that the policies' training depends on."""
    settings = {key: value for key, value in recipe.collect.model_dump().items() if key != "medium_fraction"}
    tasks = {"train_tasks": recipe.data.train_tasks, "test_tasks": recipe.data.test_tasks}
    return fingerprint(plain({"tasks": dump_component(recipe.tasks), "collect": settings, **tasks}))


def _write_record(folder: Path, sha256: str, recipe: Recipe) -> None:
    record = _Record(format_version=FORMAT_VERSION, sha256=sha256, training=_training(recipe))
    atomic_write_text(folder / POLICIES_RECORD, tomli_w.dumps(record.model_dump()))


def _read_record(path: Path) -> _Record:
    return _RECORD.validate(_RECORD.read_toml(path), path, _Record)
