"""How fast this machine collects now: a few steps of the real thing, thrown away."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import NamedTuple

from merpo.algorithm.rac import rac_step
from merpo.collect.plan import CollectPlan
from merpo.collect.sac import sac_state
from merpo.collect.train import MEASURED_EPISODES
from merpo.components.context import Context
from merpo.components.interfaces import Critic, TaskFamily
from merpo.components.task_data import TaskData
from merpo.lazy import torch
from merpo.nn.policy import act
from merpo.recipe.sections import CollectSettings
from merpo.types import Params, Task

__all__ = ["Pace", "estimate_seconds", "measure_pace"]

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
