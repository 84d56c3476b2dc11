"""A task family of Gymnasium's MuJoCo bodies with different masses, and the evaluation loop of other libraries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, final

import gymnasium
import torch
from _networks import MLP, distribution
from pydantic import Field

from merpo.components.interfaces import TaskFamily
from merpo.types import Grid, Spec, Task
from merpo_tasks.mujoco.bodies import asset, half_cheetah, never, walker2d
from merpo_tasks.mujoco.grid import MujocoGrid
from merpo_tasks.mujoco.simulation import logged_warnings

__all__ = ["HEAVIEST", "Bodies", "loop"]

HEAVIEST = 1.5  # times the mass of the first task's body
KINDS = {
    "Walker2d-v5": (walker2d, "walker2d_v5.xml", {"terminate_when_unhealthy": False}),
    "HalfCheetah-v5": (half_cheetah, "half_cheetah.xml", {}),
}


@final
class Bodies(TaskFamily):
    """A body with greater masses from task to task. Episodes end only by time, so that all have the same length."""

    name = "bodies"

    body: Literal["Walker2d-v5", "HalfCheetah-v5"] = Field(description="Gymnasium's name.")
    horizon: int = Field(200, description="Steps per episode.")
    together: bool = Field(True, description="Step states as arrays, instead of one environment after the other.")

    def spec(self) -> Spec:
        """Both bodies have the same dimensions."""
        return Spec(observation_dim=17, action_dim=6)

    def tasks(self, train: int, test: int) -> tuple[list[Task], list[Task]]:
        """Tasks with masses multiplied by 1 to HEAVIEST."""
        n = train + test
        made: list[Task] = [{"factor": 1.0 + (HEAVIEST - 1.0) * i / max(1, n - 1)} for i in range(n)]
        return made[:train], made[train:]

    def make(self, task: Task) -> Any:
        """Gymnasium's own environment with the task's masses."""
        with logged_warnings():
            env: Any = gymnasium.make(self.body, max_episode_steps=self.horizon, **KINDS[self.body][2])
        env.unwrapped.model.body_mass[:] *= task["factor"]
        return env

    def grid(self, tasks: Sequence[Task], episodes: int, seed: int, restart: bool) -> Grid:
        """A grid with the states of all tasks as arrays, or the default."""
        if not self.together:
            return super().grid(tasks, episodes, seed, restart)
        body, file, _ = KINDS[self.body]
        models = [asset(file) for _ in tasks]
        for model, task in zip(models, tasks, strict=True):
            model.body_mass[:] *= task["factor"]
        return MujocoGrid(replace(body(models, self.horizon), ended=never), episodes, seed, restart)


def loop(envs: Sequence[Any], networks: Sequence[MLP], seed: int) -> list[float]:
    """Returns of one episode in each environment, with its policy's mode computed for one step at a time."""
    totals = []
    for env, network in zip(envs, networks, strict=True):
        dtype = next(network.parameters()).dtype
        observation, _ = env.reset(seed=seed)
        total, done = 0.0, False
        while not done:
            seen = torch.as_tensor(observation, dtype=torch.float32)[None]  # merpo's environments use float32
            with torch.no_grad():
                action = distribution(network, seen.to(dtype)).mode()[0].float()
            observation, reward, terminated, truncated, _ = env.step(action.numpy())
            total, done = total + float(reward), terminated or truncated
        totals.append(total)
    return totals
