"""What a collection has left to do, how long it takes, and whether the disk has room for it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from merpo.algorithm.rac import rac_step
from merpo.artifacts.keeper import KEPT
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
PER_FILE = 2048  # bytes, at least a file's header or a manifest
CURVE_LINE = 40  # bytes for one task and checkpoint in the learning curve
STATE_HEADER = 8 * PER_FILE  # a state has some dozens of tensors, each with a name


class CollectPlan(NamedTuple):
    """Counts of what is left. Where episodes may end early, steps of measuring and rows are upper bounds."""

    tasks: int  # whose behaviour policies are trained; 0 where that is done
    environment_steps: int  # of training, all tasks together
    gradient_steps: int  # each of all tasks at once
    kept_policies: int  # per task
    measuring_steps: int  # environment steps for their returns, all tasks together
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
    measuring = f"{plan.kept_policies} policies measured in {most}{plan.measuring_steps:,} steps"
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


SECONDS = 2.0  # at most, for each kind of step
SHARE = 100  # of the work itself the probe is at most one part in so many, but for its first steps
ROWS = 1024  # in the buffer of each task, as gradient steps find it


class Pace(NamedTuple):
    """Seconds of one step of all tasks."""

    environment: float  # with one environment per task
    gradient: float
    measuring: float  # with as many environments per task as a checkpoint is measured in
    steps: int  # environment and gradient steps that were timed, each


def measure_pace(
    family: TaskFamily,
    critic: Critic,
    tasks: Sequence[Task],
    settings: CollectSettings,
    context: Context,
    clock: Callable[[], float] = time.perf_counter,
) -> Pace:
    """Time a few steps by `clock`. No random number of the collection is used up."""
    spec, n = family.spec(), len(tasks)
    rac, state = sac_state(settings, critic, spec, n, torch.Generator().manual_seed(0))
    noise = context.streams("collect-probe", n)
    most = max(2, settings.steps // SHARE)
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
    """What a plan takes at a pace, if an environment costs the same among few and among many."""
    measured = (plan.measuring_steps + plan.rows) / (MEASURED_EPISODES * tasks) * pace.measuring
    trained = plan.environment_steps / max(1, plan.tasks) * pace.environment + plan.gradient_steps * pace.gradient
    return measured + trained


def _timed(work: Callable[[], object], most: int, clock: Callable[[], float]) -> tuple[float, int]:
    """(mean seconds of a call, calls that were timed); the first call, which is slow, is not."""
    work()
    began, count = clock(), 0
    while count < most and clock() - began < SECONDS:
        work()
        count += 1
    return (clock() - began) / count, count
