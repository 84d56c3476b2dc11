"""A point that walks to a goal on the unit half circle, with the reward of PEARL's sparse point robot."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray

from merpo_tasks.plane import STEP, Array, PlaneEnv

__all__ = ["SparsePointRobotEnv"]

RADIUS = 0.2  # of the goal: within it the sparse reward is not zero
HEIGHT, WIDTH, METRES = 240, 320, 3.2  # a picture's pixels, and how wide it is in the plane
MIDDLE = (0.0, 0.5)
WHITE, GREY, GREEN, RED = (1.0, 1.0, 1.0), (0.8, 0.8, 0.8), (0.6, 0.85, 0.6), (0.8, 0.2, 0.1)


@final
class SparsePointRobotEnv(PlaneEnv):
    """s' = s + a, start at the origin, action box [-0.1, 0.1]²; it never terminates.

    Dense r = −‖s' − goal‖, sparse r = 1 − ‖s' − goal‖ within 0.2 of the goal, else 0; `info` has the latter always.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012

    def __init__(
        self,
        goal: Sequence[float] = (1.0, 0.0),
        reward: Literal["dense", "sparse"] = "dense",
        render_mode: str | None = None,
    ) -> None:
        super().__init__()
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
        scale = METRES / WIDTH
        x = (np.arange(WIDTH) - WIDTH / 2) * scale + MIDDLE[0]
        y = (HEIGHT / 2 - np.arange(HEIGHT))[:, None] * scale + MIDDLE[1]
        image = np.ones((HEIGHT, WIDTH, 3)) * WHITE
        image[(np.abs(np.hypot(x, y) - 1.0) < 0.01) & (y >= 0)] = GREY
        image[np.hypot(x - self.goal[0], y - self.goal[1]) <= RADIUS] = GREEN
        image[np.hypot(x - self._position[0], y - self._position[1]) <= 0.04] = RED
        return (255 * image).astype(np.uint8)

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial(type(self), **self._arguments), ()  # type: ignore[arg-type]
