"""Point-Robot-Wind: a point moves to a goal under an unobserved, constant wind (A.1; FOCAL's code)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, final

from pydantic import Field

from merpo import Spec, Task, TaskFamily
from merpo.lazy import gymnasium, np

if TYPE_CHECKING:
    import gymnasium as gym

__all__ = ["PointRobotWind"]


@final
class PointRobotWind(TaskFamily):
    """A point on a plane moves to a goal; tasks differ in wind, which is not observed."""

    name = "point-robot-wind"

    goal: Literal["fixed", "semicircle"] = Field(
        "fixed", description="All goals at (1, 0) (FOCAL's code), or on the unit semicircle (the paper's text)."
    )
    wind: float = Field(0.05, ge=0, le=0.1, description="Each wind component is uniform in ± this (A.1).")
    horizon: int = Field(25, ge=1, le=10_000, description="Steps per episode; 25 in FOCAL's and IDAQ's samplers.")
    seed: int = Field(1337, ge=0, le=2**32 - 1, description="Seed of the winds (FOCAL's code).")

    def spec(self) -> Spec:
        """Observations are two coordinates, actions two velocities; episodes end by the time limit only."""
        return Spec(observation_dim=2, action_dim=2)

    def tasks(self, train: int, test: int) -> tuple[list[Task], list[Task]]:
        """`train` + `test` winds in FOCAL's order of draws (all x, all y, then goals); the last `test` are unseen."""
        random = np.random.RandomState(self.seed)
        n = train + test
        x, y = random.uniform(-self.wind, self.wind, n), random.uniform(-self.wind, self.wind, n)
        angles = random.uniform(0.0, math.pi, n) if self.goal == "semicircle" else np.zeros(n)
        tasks: list[Task] = [
            {"wind": [float(x[i]), float(y[i])], "goal": [math.cos(angles[i]), math.sin(angles[i])]} for i in range(n)
        ]
        return tasks[:train], tasks[train:]

    def make(self, task: Task) -> gym.Env[Any, Any]:
        """The registered environment with this task's wind and goal, its action box rescaled to [-1, 1]."""
        from merpo_tasks.point_robot.envs import PointRobotWindEnv

        env = PointRobotWindEnv(wind=task["wind"], goal=task["goal"])  # type: ignore[arg-type]
        rescaled = gymnasium.wrappers.RescaleAction(env, np.float32(-1.0), np.float32(1.0))
        return gymnasium.wrappers.TimeLimit(rescaled, self.horizon)

    def oracle(self, task: Task) -> Callable[[np.ndarray], np.ndarray]:
        """The optimal policy: each coordinate moves to the goal as fast as the action box allows."""
        from merpo_tasks.point_robot.envs import STEP

        wind, goal = np.asarray(task["wind"]), np.asarray(task["goal"])

        def act(observation: np.ndarray) -> np.ndarray:
            action: np.ndarray = np.clip((goal - observation - wind) / STEP, -1.0, 1.0)
            return action

        return act
