"""What a collection has still to do, by arithmetic, and whether the disk has room for it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from merpo.artifacts.keeper import KEPT
from merpo.collect.sac import state_bytes
from merpo.collect.train import MEASURED_EPISODES
from merpo.components.interfaces import Critic, TaskFamily
from merpo.errors import DatasetError
from merpo.lazy import torch
from merpo.nn.policy import init_policy
from merpo.recipe.sections import CollectSettings
from merpo.support.format import bytes_text
from merpo.types import Spec

__all__ = ["CollectPlan", "check_space", "plan_collection", "plan_lines"]

FLOAT = 4  # bytes
PER_FILE = 2048  # bytes, at least a file's header or a manifest
CURVE_LINE = 40  # bytes for one task and checkpoint in the learning curve
STATE_HEADER = 8 * PER_FILE  # a state has some dozens of tensors, each with a name


class CollectPlan(NamedTuple):
    """Counts of what is left. Where episodes may end early, steps of measuring and rows are upper bounds."""

    tasks: int  # whose behaviour policies are trained; 0 where that is done
    environment_steps: int  # of training, all tasks together
    gradient_steps: int  # each of all tasks at once
    checkpoints: int
    measuring_steps: int  # environment steps for the checkpoints' returns, all tasks together
    rows: int  # of the datasets
    kept_bytes: int  # on the disk when all is done
    peak_bytes: int  # meanwhile, with the states from which training goes on
    ends_early: bool


def plan_collection(
    family: TaskFamily,
    critic: Critic,
    settings: CollectSettings,
    tasks: int,
    episodes: int,
    qualities: Sequence[str],
    since: int | None,
    copied: bool = False,
) -> CollectPlan:
    """What is left for datasets of these `qualities`, one item per dataset, each of so many `episodes`.

    `since` is after how many steps the training of the `tasks` goes on; None where their policies are there, or
    `copied` from another collection.
    """
    spec = family.spec()
    policy = _policy_bytes(spec, settings)
    rows = len(qualities) * episodes * family.horizon
    kept = rows * FLOAT * (2 * spec.observation_dim + spec.action_dim + 3)
    kept += sum(8 * (episodes + 1) + 2 * PER_FILE + (quality != "mixed") * (policy + PER_FILE) for quality in qualities)
    ends_early = spec.terminated is not None
    policies = settings.checkpoints() * tasks * (policy + CURVE_LINE) + 2 * PER_FILE
    if since is None:
        kept += policies * copied
        return CollectPlan(0, 0, 0, 0, 0, rows, kept, kept, ends_early)
    checkpoints = settings.checkpoints(since)
    width = 2 * spec.observation_dim + spec.action_dim + 2
    state = tasks * (state_bytes(settings, critic, spec) + settings.steps * width * FLOAT) + policies + STATE_HEADER
    return CollectPlan(
        tasks,
        tasks * (settings.steps - since),
        settings.gradient_steps(since),
        checkpoints,
        checkpoints * tasks * MEASURED_EPISODES * family.horizon,
        rows,
        kept + policies,
        policies + max(kept, (KEPT + 1) * state),  # a new state is written before the oldest goes
        ends_early,
    )


def plan_lines(plan: CollectPlan, free: int) -> list[str]:
    """The plan in words; `free` is what the disk has, in bytes."""
    most = "at most " if plan.ends_early else ""
    disk = f"on the disk {bytes_text(plan.kept_bytes)}, meanwhile at most {bytes_text(plan.peak_bytes)}"
    datasets = f"datasets: {most}{plan.rows:,} rows; {disk}; {bytes_text(free)} are free"
    if not plan.tasks:
        return [datasets]
    training = f"{plan.environment_steps:,} environment steps, {plan.gradient_steps:,} gradient steps of all at once"
    measuring = f"{plan.checkpoints} checkpoints measured in {most}{plan.measuring_steps:,} steps"
    return [f"SAC of {plan.tasks} tasks: {training}, {measuring}", datasets]


def check_space(folder: Path, plan: CollectPlan) -> int:
    """The free bytes of the disk on which `folder` is, or will be; `DatasetError` where the plan needs more."""
    place = next(path for path in (folder, *folder.parents) if path.is_dir())
    free = shutil.disk_usage(place).free
    there = sum(path.stat().st_size for path in (folder / "checkpoints").rglob("*") if path.is_file())
    if plan.peak_bytes > free + there:
        raise DatasetError(
            f"{folder}: collecting needs {bytes_text(plan.peak_bytes)} of disk, {bytes_text(free + there)} are free; "
            "make room, set MERPO_DATA to a folder on a larger disk, or collect less (data.episodes, collect.steps)"
        )
    return free


def _policy_bytes(spec: Spec, settings: CollectSettings) -> int:
    policy = init_policy(spec, settings.hidden, torch.Generator())
    return sum(leaf.numel() * leaf.element_size() for leaf in policy.values())
