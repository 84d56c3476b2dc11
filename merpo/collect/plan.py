"""Plan of a collection: remaining work, estimated duration and required disk space."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from merpo.algorithm.rac import rac_step
from merpo.artifacts.keeper import KEEP_LAST
from merpo.collect.train import MEASURED_EPISODES, sac_state, state_bytes
from merpo.components.context import Context
from merpo.components.interfaces import Critic, TaskFamily
from merpo.components.task_data import TaskData
from merpo.errors import DatasetError
from merpo.lazy import torch
from merpo.nn.policy import act, init_policy
from merpo.recipe.sections import CollectSettings
from merpo.support.format import bytes_text
from merpo.types import Params, Spec, Task

__all__ = ["CollectPlan", "Pace", "check_space", "estimate_seconds", "measure_pace", "plan_collection", "plan_lines"]

FLOAT = 4  # bytes
PER_FILE = 2048  # bytes, upper bound of a file's header or a manifest
CURVE_LINE = 40  # bytes of one line (a task and policy) of the learning curve
STATE_HEADER = 8 * PER_FILE  # bytes of the names of some dozens of tensors


class CollectPlan(NamedTuple):
    """Remaining work of a collection. If episodes may end early, measuring steps and rows are upper bounds."""

    tasks: int  # tasks whose behaviour policies are to be trained; 0 if they are trained
    environment_steps: int  # of training, sum over tasks
    gradient_steps: int  # each for all tasks at once
    kept_policies: int  # saved policies per task
    measuring_steps: int  # environment steps for the policies' returns, sum over tasks
    rows: int  # transitions of the datasets
    kept_bytes: int  # disk space after the collection
    peak_bytes: int  # disk space during the collection, with checkpoints
    ends_early: bool  # whether episodes may end before the horizon


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
    """The remaining work for datasets of these `qualities`, one item per dataset, each with `episodes` episodes.

    `since` is the number of training steps already done; None if the tasks' policies exist, or are `copied` from
    another collection.
    """
    spec = family.spec()
    policy = _policy_bytes(spec, settings)
    rows = len(qualities) * episodes * family.horizon
    kept = rows * FLOAT * (2 * spec.observation_dim + spec.action_dim + 3)
    kept += sum(8 * (episodes + 1) + 2 * PER_FILE + (quality != "mixed") * (policy + PER_FILE) for quality in qualities)
    ends_early = spec.terminated is not None
    policies = settings.kept_policies() * tasks * (policy + CURVE_LINE) + 2 * PER_FILE
    if since is None:
        kept += policies * copied
        return CollectPlan(0, 0, 0, 0, 0, rows, kept, kept, ends_early)
    kept_policies = settings.kept_policies(since)
    width = 2 * spec.observation_dim + spec.action_dim + 2
    state = tasks * (state_bytes(settings, critic, spec) + settings.steps * width * FLOAT) + policies + STATE_HEADER
    return CollectPlan(
        tasks,
        tasks * (settings.steps - since),
        settings.gradient_steps(since),
        kept_policies,
        kept_policies * tasks * MEASURED_EPISODES * family.horizon,
        rows,
        kept + policies,
        policies + max(kept, (KEEP_LAST + 1) * state),  # a new checkpoint is written before the oldest is deleted
        ends_early,
    )


def plan_lines(plan: CollectPlan, free: int) -> list[str]:
    """The plan as text; `free` is the free disk space in bytes."""
    most = "at most " if plan.ends_early else ""
    disk = f"disk: {bytes_text(plan.kept_bytes)}, during collection at most {bytes_text(plan.peak_bytes)}"
    datasets = f"datasets: {most}{plan.rows:,} rows; {disk}; {bytes_text(free)} free"
    if not plan.tasks:
        return [datasets]
    training = f"{plan.environment_steps:,} environment steps, {plan.gradient_steps:,} gradient steps for all at once"
    measuring = f"{plan.kept_policies} policies measured in {most}{plan.measuring_steps:,} steps"
    return [f"SAC of {plan.tasks} tasks: {training}, {measuring}", datasets]


def check_space(folder: Path, plan: CollectPlan) -> int:
    """The free bytes of the disk of `folder`, which need not exist; raises `DatasetError` if the plan needs more."""
    place = next(path for path in (folder, *folder.parents) if path.is_dir())
    free = shutil.disk_usage(place).free
    used = sum(path.stat().st_size for path in (folder / "checkpoints").rglob("*") if path.is_file())
    if plan.peak_bytes > free + used:
        raise DatasetError(
            f"{folder}: collecting needs {bytes_text(plan.peak_bytes)} of disk, {bytes_text(free + used)} are free; "
            "free some space, set MERPO_DATA to a folder on a larger disk, or reduce data.episodes or collect.steps"
        )
    return free


def _policy_bytes(spec: Spec, settings: CollectSettings) -> int:
    policy = init_policy(spec, settings.hidden, torch.Generator())
    return sum(leaf.numel() * leaf.element_size() for leaf in policy.values())


SECONDS = 2.0  # maximum time of each measurement
FRACTION = 100  # a measurement has at most 1 / FRACTION of the collection's steps, but at least 2
ROWS = 1024  # rows in the replay buffer of each task during a measurement


class Pace(NamedTuple):
    """Measured seconds of one step of all tasks."""

    environment: float  # with one environment per task
    gradient: float
    measuring: float  # with `MEASURED_EPISODES` environments per task
    steps: int  # number of environment steps and of gradient steps that were timed


def measure_pace(
    family: TaskFamily,
    critic: Critic,
    tasks: Sequence[Task],
    settings: CollectSettings,
    context: Context,
    clock: Callable[[], float] = time.perf_counter,
) -> Pace:
    """The pace of a few steps, timed by `clock`, without draws from the collection's random streams."""
    spec, n = family.spec(), len(tasks)
    rac, state = sac_state(settings, critic, spec, n, torch.Generator().manual_seed(0))
    noise = context.streams("collect-probe", n)
    most = max(2, settings.steps // FRACTION)
    data = TaskData(noise.uniform(ROWS, 2 * spec.observation_dim + spec.action_dim + 2).flatten(0, 1),
                    tuple(ROWS * t for t in range(n)), (ROWS,) * n, spec)  # fmt: skip

    def learn() -> None:
        nonlocal state
        state, _, _ = rac_step(rac, state, data, None, None, noise)

    policy: Params = {key: value.clone() for key, value in state.policy.items()}

    def stepper(episodes: int) -> tuple[float, int]:
        with closing(family.grid(tasks, episodes, context.seed, restart=True)) as grid:

            def step() -> None:
                seen = grid.observations()
                with torch.no_grad():
                    grid.step(seen, act(policy, seen, noise.normal(episodes, spec.action_dim)))

            return _timed(step, most, clock)

    environment, steps = stepper(1)
    gradient, learnt = _timed(learn, most, clock)
    measuring, _ = stepper(MEASURED_EPISODES)
    return Pace(environment, gradient, measuring, min(steps, learnt))


def estimate_seconds(plan: CollectPlan, pace: Pace, tasks: int) -> float:
    """The duration of a plan at a pace, assuming a constant cost per environment."""
    measured = (plan.measuring_steps + plan.rows) / (MEASURED_EPISODES * tasks) * pace.measuring
    trained = plan.environment_steps / max(1, plan.tasks) * pace.environment + plan.gradient_steps * pace.gradient
    return measured + trained


def _timed(work: Callable[[], object], most: int, clock: Callable[[], float]) -> tuple[float, int]:
    """(mean seconds of a call, number of timed calls), without the first call, which is slow."""
    work()
    began, count = clock(), 0
    while count < most and clock() - began < SECONDS:
        work()
        count += 1
    return (clock() - began) / count, count
