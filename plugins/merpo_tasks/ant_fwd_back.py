"""Ant-Fwd-Back: the same body, paid for going forward or backward (A.1; FOCAL's code)."""

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
    """An ant goes forward or backward; which of the two is paid, the observation does not show."""

    name = "ant-fwd-back"

    variant: Literal["focal", "corro"] = Field(
        "focal",
        description="Forward and backward, and all terms (FOCAL), or any angle, and speed alone (CORRO, UNICORN).",
    )
    contact: Literal["counted", "zero"] = Field(
        "counted", description="Forces of contact cost, or are zero as they were with mujoco-py 2 in FOCAL's runs."
    )
    horizon: int = Field(200, ge=1, le=10_000, description="Steps per episode (FOCAL).")
    seed: int = Field(1337, ge=0, le=2**32 - 1, description="Seed of the angles that CORRO's variant draws.")

    def spec(self) -> Spec:
        """Positions without x and y, and velocities; an episode ends when the torso is too low or too high."""
        return Spec(27, 8, _fallen if self.variant == "focal" else None)

    def tasks(self, train: int, test: int) -> tuple[list[Task], list[Task]]:
        """Angles 0 (forward) and π (backward): two tasks, also the unseen ones; in CORRO's variant they are drawn."""
        if self.variant == "focal":
            return _tasks([(0.0, math.pi)[i % 2] for i in range(train)]), _tasks(
                [(0.0, math.pi)[i % 2] for i in range(test)]
            )
        drawn = np.random.RandomState(self.seed).uniform(0.0, 2 * math.pi, train + test).tolist()
        return _tasks(drawn[:train]), _tasks(drawn[train:])

    def make(self, task: Task) -> gym.Env[Any, Any]:
        """The registered environment with this task's angle. Raises `MerpoError` without MuJoCo."""
        require_mujoco(self.name)
        from merpo_tasks.ant_fwd_back_env import AntFwdBackEnv

        env = AntFwdBackEnv(**task, variant=self.variant, contact=self.contact == "counted")  # type: ignore[arg-type]
        return gymnasium.wrappers.TimeLimit(env, self.horizon)

    def grid(self, tasks: Sequence[Task], episodes: int, seed: int, restart: bool) -> Grid:
        """The states of all tasks as arrays. Raises `MerpoError` without MuJoCo."""
        require_mujoco(self.name)
        from merpo_tasks.ant_fwd_back_env import ant_fwd_back
        from merpo_tasks.mujoco.grid import MujocoGrid

        angles = [float(str(task["angle"])) for task in tasks]
        simulation = ant_fwd_back(angles, self.horizon, self.variant, self.contact == "counted")
        return MujocoGrid(simulation, episodes, seed, restart)


def _tasks(angles: Sequence[float]) -> list[Task]:
    return [{"angle": angle} for angle in angles]


def _fallen(observations: torch.Tensor, actions: torch.Tensor, following: torch.Tensor) -> torch.Tensor:
    """FOCAL's: a state that is not finite, or a height outside of [0.2, 1]."""
    height = following[..., 0]
    healthy = following.isfinite().all(-1) & (height >= 0.2) & (height <= 1.0)
    return (~healthy).to(following.dtype)
