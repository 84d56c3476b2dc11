"""Gymnasium's half cheetah, hopper and walker as they are: the tasks of D4RL's and Minari's locomotion data."""

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

# The body, as D4RL and Minari call it -> the environment, as Gymnasium calls it, without the version.
ENVIRONMENTS = {"halfcheetah": "HalfCheetah", "hopper": "Hopper", "walker2d": "Walker2d"}


@final
class Locomotion(TaskFamily):
    """One body runs forward: HalfCheetah-v5, Hopper-v5 or Walker2d-v5 with their defaults. There is one task."""

    name = "locomotion"

    body: Literal["halfcheetah", "hopper", "walker2d"] = Field("halfcheetah", description="Which body (Table 1).")
    horizon: int = Field(1000, ge=1, le=10_000, description="Steps per episode (D4RL).")

    def spec(self) -> Spec:
        """Positions without x, and velocities; hopper and walker end when they no longer stand."""
        if self.body == "hopper":
            return Spec(11, 3, _unhealthy)
        return Spec(17, 6, fallen if self.body == "walker2d" else None)

    def tasks(self, train: int, test: int) -> tuple[list[Task], list[Task]]:
        """The same task each time, so that an unseen one is no other than those trained on."""
        return [{} for _ in range(train)], [{} for _ in range(test)]

    def make(self, task: Task) -> gym.Env[Any, Any]:
        """The registered environment. Raises `MerpoError` without MuJoCo, or for data of another body's."""
        self._require_body(task)
        require_mujoco(self.name)
        from merpo_tasks.locomotion_env import LocomotionEnv

        return gymnasium.wrappers.TimeLimit(LocomotionEnv(self.body), self.horizon)

    def grid(self, tasks: Sequence[Task], episodes: int, seed: int, restart: bool) -> Grid:
        """The states of all tasks as arrays. Raises `MerpoError` as `make` does."""
        for task in tasks:
            self._require_body(task)
        require_mujoco(self.name)
        from merpo_tasks.locomotion_env import locomotion
        from merpo_tasks.mujoco.grid import MujocoGrid

        return MujocoGrid(locomotion(self.body, len(tasks), self.horizon), episodes, seed, restart)

    def _require_body(self, task: Task) -> None:
        """Imported data says which environment it comes from; without that there is nothing to compare."""
        found, expected = task.get("environment"), ENVIRONMENTS[self.body]
        if found is not None and not re.fullmatch(rf"{expected}-v\d+", str(found)):
            body = next((key for key, name in ENVIRONMENTS.items() if str(found).startswith(f"{name}-")), None)
            hint = f"; set tasks.body = {body!r}" if body else ""
            raise MerpoError(f"tasks/{self.name}: data of {found!s:.80}, expected {expected}-v5 or before{hint}")


def _unhealthy(observations: torch.Tensor, actions: torch.Tensor, following: torch.Tensor) -> torch.Tensor:
    """The hopper's: height above 0.7, angle within ±0.2, everything but the height within ±100."""
    height, angle = following[..., 0], following[..., 1]
    standing = (height > 0.7) & (angle.abs() < 0.2) & (following[..., 1:].abs() < 100.0).all(-1)
    return (~standing).to(following.dtype)
