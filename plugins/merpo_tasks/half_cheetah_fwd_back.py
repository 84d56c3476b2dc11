"""Half-Cheetah-Fwd-Back: a half cheetah rewarded for running forward or backward (A.1; FOCAL's code)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, final

from pydantic import Field

from merpo import Grid, Spec, Task, TaskFamily
from merpo.lazy import gymnasium, np
from merpo_tasks._checks import require_mujoco

if TYPE_CHECKING:
    import gymnasium as gym

__all__ = ["HalfCheetahFwdBack"]


@final
class HalfCheetahFwdBack(TaskFamily):
    """A half cheetah is rewarded for running in the task's direction, forward or backward, which is not observed."""

    name = "half-cheetah-fwd-back"

    variant: Literal["focal", "corro"] = Field(
        "focal", description="Backward and forward in turn (FOCAL, PEARL), or random for every task (CORRO, UNICORN)."
    )
    horizon: int = Field(200, ge=1, le=10_000, description="Steps per episode (FOCAL).")
    seed: int = Field(1337, ge=0, le=2**32 - 1, description="Seed of the directions in CORRO's variant.")

    def spec(self) -> Spec:
        """Joint positions, velocities and the torso's position; episodes end by the time limit only."""
        return Spec(observation_dim=20, action_dim=6)

    def tasks(self, train: int, test: int) -> tuple[list[Task], list[Task]]:
        """Directions -1 (backward) and 1 (forward); with only two tasks, unseen ones are among those trained on."""
        if self.variant == "focal":
            return _tasks([(-1, 1)[i % 2] for i in range(train)]), _tasks([(-1, 1)[i % 2] for i in range(test)])
        drawn = np.random.RandomState(self.seed).choice([-1, 1], train + test).tolist()
        return _tasks(drawn[:train]), _tasks(drawn[train:])

    def make(self, task: Task) -> gym.Env[Any, Any]:
        """The registered environment with this task's direction; raises `MerpoError` without MuJoCo."""
        require_mujoco(self.name)
        from merpo_tasks.half_cheetah_fwd_back_env import HalfCheetahFwdBackEnv

        return gymnasium.wrappers.TimeLimit(HalfCheetahFwdBackEnv(**task), self.horizon)  # type: ignore[arg-type]

    def grid(self, tasks: Sequence[Task], episodes: int, seed: int, restart: bool) -> Grid:
        """A `MujocoGrid` of all tasks; raises `MerpoError` without MuJoCo."""
        require_mujoco(self.name)
        from merpo_tasks.half_cheetah_fwd_back_env import half_cheetah_fwd_back
        from merpo_tasks.mujoco.grid import MujocoGrid

        directions = [float(str(task["direction"])) for task in tasks]
        return MujocoGrid(half_cheetah_fwd_back(directions, self.horizon), episodes, seed, restart)


def _tasks(directions: Sequence[int]) -> list[Task]:
    return [{"direction": direction} for direction in directions]
