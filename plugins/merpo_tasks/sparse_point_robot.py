"""Sparse-Point-Robot: a point moves to an unobserved goal (PEARL's and FOCAL's code)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, final

from pydantic import Field

from merpo import Spec, Task, TaskFamily
from merpo.lazy import gymnasium, np

if TYPE_CHECKING:
    import gymnasium as gym

__all__ = ["SparsePointRobot"]


@final
class SparsePointRobot(TaskFamily):
    """A point on a plane moves to a goal on the unit half circle; tasks differ in goal, which is not observed."""

    name = "sparse-point-robot"

    variant: Literal["focal", "corro"] = Field(
        "focal", description="Goals evenly spaced on the half circle and shuffled (PEARL, FOCAL), or random (CORRO)."
    )
    reward: Literal["dense", "sparse"] = Field(
        "dense",
        description="Dense: minus the distance to the goal (as PEARL trains); sparse: 1 minus it near the goal, or 0.",
    )
    horizon: int = Field(20, ge=1, le=10_000, description="Steps per episode (PEARL); CORRO has 10.")
    seed: int = Field(1337, ge=0, le=2**32 - 1, description="Seed of the order of the goals, or of the goals (PEARL).")

    def spec(self) -> Spec:
        """Observations are two coordinates, actions two velocities; episodes end by the time limit only."""
        return Spec(observation_dim=2, action_dim=2)

    def tasks(self, train: int, test: int) -> tuple[list[Task], list[Task]]:
        """`train` + `test` goals, the last `test` of them unseen; 80 + 20 gives PEARL's."""
        random = np.random.RandomState(self.seed)
        n = train + test
        angles = np.linspace(0.0, math.pi, n) if self.variant == "focal" else random.uniform(0.0, math.pi, n)
        goals = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        if self.variant == "focal":
            random.shuffle(goals)
        tasks: list[Task] = [{"goal": goal} for goal in goals.tolist()]
        return tasks[:train], tasks[train:]

    def make(self, task: Task) -> gym.Env[Any, Any]:
        """The registered environment with this task's goal, its action box rescaled to [-1, 1]."""
        from merpo_tasks.point_robot.envs import SparsePointRobotEnv

        env = SparsePointRobotEnv(goal=task["goal"], reward=self.reward)  # type: ignore[arg-type]
        rescaled = gymnasium.wrappers.RescaleAction(env, np.float32(-1.0), np.float32(1.0))
        return gymnasium.wrappers.TimeLimit(rescaled, self.horizon)

    def oracle(self, task: Task) -> Callable[[np.ndarray], np.ndarray]:
        """The optimal policy: each coordinate moves to the goal as fast as the action box allows."""
        from merpo_tasks.point_robot.envs import STEP

        goal = np.asarray(task["goal"])

        def act(observation: np.ndarray) -> np.ndarray:
            action: np.ndarray = np.clip((goal - observation) / STEP, -1.0, 1.0)
            return action

        return act
