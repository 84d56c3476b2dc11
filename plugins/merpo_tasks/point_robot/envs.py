"""Gymnasium environments of the point robots: a point moves on a plane to a goal."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal, final, get_args

import gymnasium
import numpy as np
from numpy.typing import NDArray

from merpo_tasks._checks import require_choice
from merpo_tasks.point_robot.picture import picture

__all__ = ["STEP", "PlaneEnv", "PointRobotWindEnv", "SparsePointRobotEnv"]

Array = NDArray[np.float32]
Reward = Literal["dense", "sparse"]

STEP = 0.1  # largest step of the point along one axis
RADIUS = 0.2  # of the goal, within which the sparse reward is nonzero
DRAWN = 0.06  # radius of a point goal in images


class PlaneEnv(gymnasium.Env[Array, Array], ABC):
    """A point that starts at the origin and observes its position; the action box is [-0.1, 0.1]²."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012

    def __init__(self) -> None:
        self.observation_space = gymnasium.spaces.Box(np.float32(-np.inf), np.float32(np.inf), (2,), np.float32)
        self.action_space = gymnasium.spaces.Box(np.float32(-STEP), np.float32(STEP), (2,), np.float32)
        self._position = np.zeros(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Reset the point to the origin."""
        super().reset(seed=seed)
        self._position = np.zeros(2)
        return self._position.astype(np.float32), {}

    @abstractmethod
    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Move the point and compute the reward."""


@final
class PointRobotWindEnv(PlaneEnv):
    """s' = s + a + wind, r = −‖s' − goal‖, start at the origin, action box [-0.1, 0.1]²; never terminates."""

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
        """An image of goal and point [H, W, 3]; None unless `render_mode` is "rgb_array"."""
        return picture(self._position, self.goal, DRAWN) if self.render_mode == "rgb_array" else None


@final
class SparsePointRobotEnv(PlaneEnv):
    """s' = s + a, start at the origin, action box [-0.1, 0.1]²; never terminates.

    Dense r = −‖s' − goal‖; sparse r = 1 − ‖s' − goal‖ within 0.2 of the goal, else 0, also in `info["sparse_reward"]`.
    """

    def __init__(
        self,
        goal: Sequence[float] = (1.0, 0.0),
        reward: Reward = "dense",
        render_mode: str | None = None,
    ) -> None:
        super().__init__()
        require_choice("reward", reward, get_args(Reward))
        self._arguments = {"goal": goal, "reward": reward, "render_mode": render_mode}
        self.goal = np.asarray(goal, dtype=np.float64)
        self.reward, self.render_mode = reward, render_mode

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Move by the action, clipped to its box."""
        self._position = self._position + np.clip(action, -STEP, STEP)
        distance = float(np.linalg.norm(self._position - self.goal))
        sparse = 1.0 - distance if distance <= RADIUS else 0.0
        reward = -distance if self.reward == "dense" else sparse
        return self._position.astype(np.float32), reward, False, False, {"sparse_reward": sparse}

    def render(self) -> NDArray[np.uint8] | None:
        """An image of half circle, goal disc and point [H, W, 3]; None unless `render_mode` is "rgb_array"."""
        return picture(self._position, self.goal, RADIUS) if self.render_mode == "rgb_array" else None

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial(type(self), **self._arguments), ()  # type: ignore[arg-type]
