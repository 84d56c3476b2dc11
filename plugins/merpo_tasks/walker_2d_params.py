"""Walker-2D-Params: walkers of different mass, inertia, damping and friction (A.1; rand_param_envs; FOCAL)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, final

from pydantic import Field

from merpo import Grid, Spec, Task, TaskFamily
from merpo.lazy import gymnasium, np
from merpo_tasks._checks import require_mujoco

if TYPE_CHECKING:
    import gymnasium as gym
    import torch

__all__ = ["Walker2DParams", "fallen"]

# In the order of the draws. The model has 8 bodies with the world, 9 degrees of freedom and 8 geoms with the floor.
SHAPES = {"body_mass": (8,), "body_inertia": (8, 3), "dof_damping": (9,), "geom_friction": (8, 3)}
BASES = {"body_mass": 1.5, "body_inertia": 1.5, "dof_damping": 1.3, "geom_friction": 1.5}
CORRO = ("body_mass", "geom_friction")


@final
class Walker2DParams(TaskFamily):
    """A walker moves forward; tasks differ in body and floor parameters, which are not observed."""

    name = "walker-2d-params"

    variant: Literal["focal", "corro"] = Field(
        "focal",
        description="Observations, termination and varied parameters of FOCAL and PEARL, or of CORRO and UNICORN.",
    )
    log_scale: float = Field(3.0, ge=0, le=3, description="Multipliers are 1.5 (damping: 1.3) to the power of ± this.")
    derived: Literal["recomputed", "stale"] = Field(
        "recomputed",
        description="Constants that MuJoCo derives from the body: recomputed per task, or unchanged (rand_param_envs).",
    )
    horizon: int = Field(200, ge=1, le=10_000, description="Steps per episode (FOCAL).")
    seed: int = Field(1337, ge=0, le=2**32 - 1, description="Seed of the multipliers; FOCAL's are not seeded.")

    def spec(self) -> Spec:
        """Positions (with x in CORRO's variant only) and velocities; terminates when the walker falls."""
        return Spec(17, 6, fallen) if self.variant == "focal" else Spec(18, 6, _lying)

    def tasks(self, train: int, test: int) -> tuple[list[Task], list[Task]]:
        """Multipliers base ** U(-log_scale, log_scale) per parameter and task; the last `test` tasks are unseen."""
        random = np.random.RandomState(self.seed)
        names = SHAPES if self.variant == "focal" else CORRO
        drawn: list[Task] = [
            {n: (BASES[n] ** random.uniform(-self.log_scale, self.log_scale, SHAPES[n])).tolist() for n in names}
            for _ in range(train + test)
        ]
        return drawn[:train], drawn[train:]

    def make(self, task: Task) -> gym.Env[Any, Any]:
        """The registered environment with this task's multipliers; raises `MerpoError` without MuJoCo."""
        require_mujoco(self.name)
        from merpo_tasks.walker_2d_params_env import Walker2DParamsEnv

        recompute = self.derived == "recomputed"
        env = Walker2DParamsEnv(**task, variant=self.variant, recompute=recompute)  # type: ignore[arg-type]
        return gymnasium.wrappers.TimeLimit(env, self.horizon)

    def grid(self, tasks: Sequence[Task], episodes: int, seed: int, restart: bool) -> Grid:
        """A `MujocoGrid` of all tasks; raises `MerpoError` without MuJoCo."""
        require_mujoco(self.name)
        from merpo_tasks.mujoco.grid import MujocoGrid
        from merpo_tasks.walker_2d_params_env import walker_2d_params

        simulation = walker_2d_params(tasks, self.horizon, self.variant, self.derived == "recomputed")
        return MujocoGrid(simulation, episodes, seed, restart)


def fallen(observations: torch.Tensor, actions: torch.Tensor, following: torch.Tensor) -> torch.Tensor:
    """FOCAL's termination: height outside of (0.8, 2) or angle outside of ±1."""
    height, angle = following[..., 0], following[..., 1]
    standing = (height > 0.8) & (height < 2.0) & (angle > -1.0) & (angle < 1.0)
    return (~standing).to(following.dtype)


def _lying(observations: torch.Tensor, actions: torch.Tensor, following: torch.Tensor) -> torch.Tensor:
    """CORRO's termination: height at most 0.5."""
    return (following[..., 1] <= 0.5).to(following.dtype)
