"""A point on a plane: what the point robots have in common."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

__all__ = ["STEP", "Array", "PlaneEnv"]

Array = NDArray[np.float32]
STEP = 0.1  # largest step of the point along one axis


class PlaneEnv(gymnasium.Env[Array, Array]):
    """It starts at the origin and sees where it is; the action box is [-0.1, 0.1]²."""

    def __init__(self) -> None:
        self.observation_space = gymnasium.spaces.Box(np.float32(-np.inf), np.float32(np.inf), (2,), np.float32)
        self.action_space = gymnasium.spaces.Box(np.float32(-STEP), np.float32(STEP), (2,), np.float32)
        self._position = np.zeros(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Back to the origin."""
        super().reset(seed=seed)
        self._position = np.zeros(2)
        return self._position.astype(np.float32), {}

    @abstractmethod
    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Move, and be paid."""
