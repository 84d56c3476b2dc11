"""A point that walks to a goal on the unit half circle, with the reward of PEARL's sparse point robot."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Literal, final, get_args

import numpy as np
from numpy.typing import NDArray

from merpo_tasks._checks import require_choice
from merpo_tasks.plane import STEP, Array, PlaneEnv
from merpo_tasks.plane_picture import plane_picture

__all__ = ["SparsePointRobotEnv"]

Reward = Literal["dense", "sparse"]

RADIUS = 0.2  # of the goal: within it the sparse reward is not zero


@final
class SparsePointRobotEnv(PlaneEnv):
    """s' = s + a, start at the origin, action box [-0.1, 0.1]²; it never terminates.

    Dense r = −‖s' − goal‖, sparse r = 1 − ‖s' − goal‖ within 0.2 of the goal, else 0; `info` has the latter always.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012

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
        """The half circle, the goal's disc and the point [H, W, 3]; None unless `render_mode` is "rgb_array"."""
        if self.render_mode != "rgb_array":
            return None
        return plane_picture(self._position, self.goal, RADIUS)

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial(type(self), **self._arguments), ()  # type: ignore[arg-type]
