"""A cart with a pole: lengths, masses and the drive differ; ends when the pole falls; rewards of about 1e-3."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np
from pydantic import Field

from merpo_foreign.simulated import Controller, Gains, Parameters, Simulated

__all__ = ["Cart"]

STEP = 0.03  # s


@final
class Cart(Simulated):
    """A pole is balanced on a cart that should stay in the middle of its track."""

    name = "foreign-cart"

    horizon: int = Field(200, ge=1, le=10_000, description="Steps of 30 ms per episode.")

    observation_dim: ClassVar[int] = 4
    action_dim: ClassVar[int] = 1
    start_dim: ClassVar[int] = 4
    noise_dim: ClassVar[int] = 1
    terminates: ClassVar[bool] = True
    ranges: ClassVar[dict[str, tuple[float, float]]] = {
        "length": (0.3, 1.0),  # m, half of the pole
        "mass": (0.05, 0.4),  # kg
        "force": (6.0, 16.0),  # N at action 1
        "bias": (-0.15, 0.15),  # of the drive, in units of action
    }
    controllers: ClassVar[dict[str, Controller]] = {
        "poor": Controller((3.0, 0.3, 0.0, 0.0), 0.5),
        "medium": Controller((4.0, 0.8, 0.05, 0.1), 0.4),
        "good": Controller((6.0, 1.2, 0.15, 0.3), 0.25),
    }
    episodes: ClassVar[int] = 30

    def start(self, p: Parameters, uniform: np.ndarray) -> np.ndarray:
        """Position, velocity, angle and its velocity, near the middle and upright."""
        return (uniform - 0.5) * np.array([1.0, 0.4, 0.16, 0.4])

    def observe(self, p: Parameters, state: np.ndarray) -> np.ndarray:
        """The state."""
        return state

    def advance(
        self, p: Parameters, state: np.ndarray, action: np.ndarray, noise: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Semi-implicit Euler; 1e-3 per step, less away from the middle."""
        x, v, angle, spin = (state[..., i] for i in range(4))
        force = p["force"] * (action[..., 0] + p["bias"]) + 0.5 * noise[..., 0]
        total = 1.0 + p["mass"]
        sine, cosine = np.sin(angle), np.cos(angle)
        push = (force + p["mass"] * p["length"] * spin**2 * sine) / total
        turn = (9.81 * sine - cosine * push) / (p["length"] * (4.0 / 3.0 - p["mass"] * cosine**2 / total))
        thrust = push - p["mass"] * p["length"] * turn * cosine / total
        v, spin = v + STEP * thrust, spin + STEP * turn
        x, angle = x + STEP * v, angle + STEP * spin
        failed = (np.abs(x) > 2.0) | (np.abs(angle) > 0.3)
        reward = 1e-3 * (1.0 - 0.2 * np.abs(x) - 0.05 * action[..., 0] ** 2)
        return np.stack([x, v, angle, spin], -1), reward, failed

    def control(self, p: Parameters, observation: np.ndarray, gains: Gains) -> np.ndarray:
        """Linear feedback."""
        angle, spin, position, velocity = gains
        x, v, a, w = (observation[..., i] for i in range(4))
        return (angle * a + spin * w + position * x + velocity * v)[..., None]
