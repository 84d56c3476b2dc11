"""Ant-Fwd-Back: an ant rewarded for moving forward or backward (A.1; FOCAL's code)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, final

from pydantic import Field

from merpo import Grid, Spec, Task, TaskFamily
from merpo.lazy import gymnasium, np
from merpo_tasks._checks import require_mujoco

if TYPE_CHECKING:
    import gymnasium as gym
    import torch

__all__ = ["AntFwdBack"]


@final
class AntFwdBack(TaskFamily):
    """An ant is rewarded for moving in the task's direction, forward or backward, which is not observed."""

    name = "ant-fwd-back"

    variant: Literal["focal", "corro"] = Field(
        "focal",
        description="Forward and backward, all reward terms (FOCAL), or any angle, speed only (CORRO, UNICORN).",
    )
    contact: Literal["counted", "zero"] = Field(
        "counted", description="Contact forces in the cost, or zero as with mujoco-py 2 in FOCAL's runs."
    )
    horizon: int = Field(200, ge=1, le=10_000, description="Steps per episode (FOCAL).")
    seed: int = Field(1337, ge=0, le=2**32 - 1, description="Seed of the angles in CORRO's variant.")

    def spec(self) -> Spec:
        """Positions without x and y, and velocities; terminates (FOCAL only) when the torso is too low or too high."""
        return Spec(27, 8, _fallen if self.variant == "focal" else None)

    def tasks(self, train: int, test: int) -> tuple[list[Task], list[Task]]:
        """Angles 0 (forward) and π (backward) in turn, so unseen tasks are among those trained on; random in CORRO."""
        if self.variant == "focal":
            return _tasks([(0.0, math.pi)[i % 2] for i in range(train)]), _tasks(
                [(0.0, math.pi)[i % 2] for i in range(test)]
            )
        drawn = np.random.RandomState(self.seed).uniform(0.0, 2 * math.pi, train + test).tolist()
        return _tasks(drawn[:train]), _tasks(drawn[train:])

    def make(self, task: Task) -> gym.Env[Any, Any]:
        """The registered environment with this task's angle; raises `MerpoError` without MuJoCo."""
        require_mujoco(self.name)
        from merpo_tasks.ant_fwd_back_env import AntFwdBackEnv

        env = AntFwdBackEnv(**task, variant=self.variant, contact=self.contact == "counted")  # type: ignore[arg-type]
        return gymnasium.wrappers.TimeLimit(env, self.horizon)

    def grid(self, tasks: Sequence[Task], episodes: int, seed: int, restart: bool) -> Grid:
        """A `MujocoGrid` of all tasks; raises `MerpoError` without MuJoCo."""
        require_mujoco(self.name)
        from merpo_tasks.ant_fwd_back_env import ant_fwd_back
        from merpo_tasks.mujoco.grid import MujocoGrid

        angles = [float(str(task["angle"])) for task in tasks]
        simulation = ant_fwd_back(angles, self.horizon, self.variant, self.contact == "counted")
        return MujocoGrid(simulation, episodes, seed, restart)


def _tasks(angles: Sequence[float]) -> list[Task]:
    return [{"angle": angle} for angle in angles]


def _fallen(observations: torch.Tensor, actions: torch.Tensor, following: torch.Tensor) -> torch.Tensor:
    """FOCAL's termination: a state that is not finite, or a height outside of [0.2, 1]."""
    height = following[..., 0]
    healthy = following.isfinite().all(-1) & (height >= 0.2) & (height <= 1.0)
    return (~healthy).to(following.dtype)
