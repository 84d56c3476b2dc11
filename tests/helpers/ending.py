"""An environment that terminates its episodes early."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["_Ending"]


class _Ending:
    """An environment that terminates after `length` steps, each with reward 1."""

    def __init__(self, length: int) -> None:
        self.length, self.steps = length, 0

    def reset(self, *, seed: int | None = None) -> Any:
        self.steps = 0
        return np.zeros(2, dtype=np.float32), {}

    def step(self, action: Any) -> Any:
        self.steps += 1
        assert self.steps <= self.length, "stepped after its end"
        return np.zeros(2, dtype=np.float32), 1.0, self.steps == self.length, False, {}

    def close(self) -> None:
        self.length = 0
