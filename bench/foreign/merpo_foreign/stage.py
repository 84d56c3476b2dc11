"""Noisy linear systems: two coupled oscillators; observations of about 1e-3, rewards of about 1, 300 steps."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np
from pydantic import Field

from merpo_foreign.simulated import Controller, Gains, Parameters, Simulated

__all__ = ["Stage"]

STEP = 0.1


@final
class Stage(Simulated):
    """A positioning stage of two coupled, hardly damped axes is held at rest against vibration; cost is quadratic."""

    name = "foreign-stage"

    horizon: int = Field(300, ge=1, le=10_000, description="Steps per episode.")

    observation_dim: ClassVar[int] = 4
    action_dim: ClassVar[int] = 2
    start_dim: ClassVar[int] = 4
    noise_dim: ClassVar[int] = 2
    ranges: ClassVar[dict[str, tuple[float, float]]] = {
        "stiffness": (0.5, 2.0),
        "coupling": (-0.3, 0.3),
        "damping": (-0.02, 0.1),
        "gain": (0.5, 1.5),
        "turn": (-1.2, 1.2),  # rad, from the drives' axes to the stage's
    }
    controllers: ClassVar[dict[str, Controller]] = {
        "poor": Controller((0.0, 0.3), 0.4),
        "medium": Controller((0.1, 0.6), 0.3),
        "good": Controller((0.2, 1.2), 0.2),
    }
    episodes: ClassVar[int] = 14

    def start(self, p: Parameters, uniform: np.ndarray) -> np.ndarray:
        """Positions and velocities, in mm."""
        return (uniform - 0.5) * np.array([4.0, 4.0, 2.0, 2.0])

    def observe(self, p: Parameters, state: np.ndarray) -> np.ndarray:
        """The state in m."""
        return 1e-3 * state

    def advance(
        self, p: Parameters, state: np.ndarray, action: np.ndarray, noise: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Semi-implicit Euler of two oscillators."""
        x, y, v, w = (state[..., i] for i in range(4))
        cosine, sine = np.cos(p["turn"]), np.sin(p["turn"])
        push_x = p["gain"] * (cosine * action[..., 0] - sine * action[..., 1])
        push_y = p["gain"] * (sine * action[..., 0] + cosine * action[..., 1])
        v = v + STEP * (push_x - p["stiffness"] * x + p["coupling"] * y - p["damping"] * v) + 0.1 * noise[..., 0]
        w = w + STEP * (push_y - p["stiffness"] * y + p["coupling"] * x - p["damping"] * w) + 0.1 * noise[..., 1]
        x, y = np.clip(x + STEP * v, -20.0, 20.0), np.clip(y + STEP * w, -20.0, 20.0)
        reward = -(x**2 + y**2 + 0.2 * (action**2).sum(-1))
        return np.stack([x, y, v, w], -1), reward, np.zeros(reward.shape, dtype=bool)

    def control(self, p: Parameters, observation: np.ndarray, gains: Gains) -> np.ndarray:
        """Proportional and derivative feedback along the drives' axes."""
        proportional, derivative = (np.asarray(gain)[..., None] for gain in gains)
        return -(proportional * 1e3 * observation[..., :2] + derivative * 1e3 * observation[..., 2:])
