"""Gymnasium environments of the task families, registered as `merpo/…` by importing this module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import gymnasium
import numpy as np
from numpy.typing import NDArray

from merpo_tasks.plane import STEP, Array, PlaneEnv
from merpo_tasks.plane_picture import plane_picture

__all__ = ["PointRobotWindEnv"]

GOAL = 0.06  # radius of the goal in a picture


@final
class PointRobotWindEnv(PlaneEnv):
    """s' = s + a + wind, r = −‖s' − goal‖, start at the origin, action box [-0.1, 0.1]²; it never terminates."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012

    def __init__(
        self,
        wind: Sequence[float] = (0.0, 0.0),
        goal: Sequence[float] = (1.0, 0.0),
        render_mode: str | None = None,
    ) -> None:
        super().__init__()
        self.render_mode = render_mode
        self.wind = np.asarray(wind, dtype=np.float64)
        self.goal = np.asarray(goal, dtype=np.float64)

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Move by the action, clipped to its box, and by the wind."""
        self._position = self._position + np.clip(action, -STEP, STEP) + self.wind
        reward = -float(np.linalg.norm(self._position - self.goal))
        return self._position.astype(np.float32), reward, False, False, {}

    def render(self) -> NDArray[np.uint8] | None:
        """The goal and the point [H, W, 3]; None unless `render_mode` is "rgb_array"."""
        return plane_picture(self._position, self.goal, GOAL) if self.render_mode == "rgb_array" else None


# The other environments have modules of their own, which are imported when one is made.
IDS = {
    "PointRobotWind": ("merpo_tasks.environments:PointRobotWindEnv", 25),
    "HalfCheetahFwdBack": ("merpo_tasks.half_cheetah_fwd_back_env:HalfCheetahFwdBackEnv", 200),
    "Walker2DParams": ("merpo_tasks.walker_2d_params_env:Walker2DParamsEnv", 200),
    "AntFwdBack": ("merpo_tasks.ant_fwd_back_env:AntFwdBackEnv", 200),
    "Locomotion": ("merpo_tasks.locomotion_env:LocomotionEnv", 1000),
    "SparsePointRobot": ("merpo_tasks.sparse_point_robot_env:SparsePointRobotEnv", 20),
}


def _register() -> None:
    for name, (entry_point, horizon) in IDS.items():
        if f"merpo/{name}-v0" not in gymnasium.registry:
            gymnasium.register(f"merpo/{name}-v0", entry_point=entry_point, max_episode_steps=horizon)


_register()
