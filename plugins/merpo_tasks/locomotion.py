"""Gymnasium's half cheetah, hopper and walker unchanged: the tasks of D4RL's and Minari's locomotion data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, final

from pydantic import Field

from merpo import Grid, MerpoError, Spec, Task, TaskFamily
from merpo.lazy import gymnasium
from merpo_tasks._checks import require_mujoco
from merpo_tasks.walker_2d_params import fallen

if TYPE_CHECKING:
    import gymnasium as gym
    import torch

__all__ = ["Locomotion"]

# D4RL's and Minari's name of the body -> Gymnasium's name of the environment, without the version.
ENVIRONMENTS = {"halfcheetah": "HalfCheetah", "hopper": "Hopper", "walker2d": "Walker2d"}


@final
class Locomotion(TaskFamily):
    """Running forward in HalfCheetah-v5, Hopper-v5 or Walker2d-v5 with their defaults: a family of one task."""

    name = "locomotion"

    body: Literal["halfcheetah", "hopper", "walker2d"] = Field("halfcheetah", description="The body (Table 1).")
    horizon: int = Field(1000, ge=1, le=10_000, description="Steps per episode (D4RL).")

    def spec(self) -> Spec:
        """Positions without x, and velocities; hopper and walker terminate when they fall."""
        if self.body == "hopper":
            return Spec(11, 3, _unhealthy)
        return Spec(17, 6, fallen if self.body == "walker2d" else None)

    def tasks(self, train: int, test: int) -> tuple[list[Task], list[Task]]:
        """The single task, repeated; unseen tasks equal those trained on."""
        return [{} for _ in range(train)], [{} for _ in range(test)]

    def make(self, task: Task) -> gym.Env[Any, Any]:
        """The registered environment; raises `MerpoError` without MuJoCo, or if the task is of another body."""
        self._require_body(task)
        require_mujoco(self.name)
        from merpo_tasks.locomotion_env import LocomotionEnv

        return gymnasium.wrappers.TimeLimit(LocomotionEnv(self.body), self.horizon)

    def grid(self, tasks: Sequence[Task], episodes: int, seed: int, restart: bool) -> Grid:
        """A `MujocoGrid` of all tasks; raises `MerpoError` as `make` does."""
        for task in tasks:
            self._require_body(task)
        require_mujoco(self.name)
        from merpo_tasks.locomotion_env import locomotion
        from merpo_tasks.mujoco.grid import MujocoGrid

        return MujocoGrid(locomotion(self.body, len(tasks), self.horizon), episodes, seed, restart)

    def _require_body(self, task: Task) -> None:
        """Raise `MerpoError` if an imported task names another environment; one that names none is accepted."""
        found, expected = task.get("environment"), ENVIRONMENTS[self.body]
        if found is not None and not re.fullmatch(rf"{expected}-v\d+", str(found)):
            body = next((key for key, name in ENVIRONMENTS.items() if str(found).startswith(f"{name}-")), None)
            hint = f"; set tasks.body = {body!r}" if body else ""
            raise MerpoError(f"tasks/{self.name}: data of {found!s:.80}, expected {expected}-v5 or earlier{hint}")


def _unhealthy(observations: torch.Tensor, actions: torch.Tensor, following: torch.Tensor) -> torch.Tensor:
    """The hopper's termination: unless height > 0.7, |angle| < 0.2 and all other values are within ±100."""
    height, angle = following[..., 0], following[..., 1]
    standing = (height > 0.7) & (angle.abs() < 0.2) & (following[..., 1:].abs() < 100.0).all(-1)
    return (~standing).to(following.dtype)
