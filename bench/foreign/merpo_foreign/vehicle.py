"""A vehicle on slippery ground that parks in a circle: sparse rewards of 0 and 1, positions in km, other dynamics."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np
from pydantic import Field

from merpo_foreign.simulated import Controller, Gains, Parameters, Simulated

__all__ = ["Vehicle"]

STEP = 0.5  # s
CIRCLE, SLOW = 4.0, 1.5  # m and m/s: within both, a step earns 1


@final
class Vehicle(Simulated):
    """A vehicle, steered at its front or its rear, is driven to a place and held there."""

    name = "foreign-vehicle"

    horizon: int = Field(60, ge=1, le=10_000, description="Steps of half a second per episode.")

    observation_dim: ClassVar[int] = 5
    action_dim: ClassVar[int] = 2
    start_dim: ClassVar[int] = 4
    noise_dim: ClassVar[int] = 2
    ranges: ClassVar[dict[str, tuple[float, float]]] = {
        "axle": (-1.0, 1.0),  # the steered one: negative is the rear, which turns the vehicle the other way
        "bias": (-0.3, 0.3),  # of the steering, in units of action; to the left if positive
        "traction": (0.4, 1.0),
        "drag": (0.05, 0.25),  # 1/s
        "slope": (-0.4, 0.4),  # m/s², down along y
    }
    known: ClassVar[tuple[str, ...]] = ("axle",)
    controllers: ClassVar[dict[str, Controller]] = {
        "poor": Controller((2.0, 0.2, 0.3, 0.4), 0.5),
        "medium": Controller((3.0, 0.2, 0.5, 0.7), 0.4),
        "good": Controller((5.0, 0.3, 1.0, 2.0), 0.2),
    }
    episodes: ClassVar[int] = 60

    def start(self, p: Parameters, uniform: np.ndarray) -> np.ndarray:
        """Position 15 to 30 m away in m, heading roughly towards the circle, and speed."""
        bearing, distance = 2.0 * np.pi * uniform[..., 0], 15.0 + 15.0 * uniform[..., 1]
        heading = bearing + np.pi + 2.4 * (uniform[..., 2] - 0.5)
        x, y = distance * np.cos(bearing), distance * np.sin(bearing)
        return np.stack([x, y, heading, 2.0 * uniform[..., 3]], -1)

    def observe(self, p: Parameters, state: np.ndarray) -> np.ndarray:
        """Position in km, cosine and sine of the heading, and speed in m/s."""
        heading = state[..., 2:3]
        return np.concatenate([1e-3 * state[..., :2], np.cos(heading), np.sin(heading), state[..., 3:]], -1)

    def advance(
        self, p: Parameters, state: np.ndarray, action: np.ndarray, noise: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A bicycle that slides down the slope where traction is small."""
        x, y, heading, speed = (state[..., i] for i in range(4))
        thrust = 2.0 * p["traction"] * action[..., 0] + 0.1 * noise[..., 0]
        speed = speed + STEP * (thrust - p["drag"] * speed - p["slope"] * np.sin(heading))
        speed = np.clip(speed, -6.0, 6.0)
        turn = 0.2 * _axle(p) * np.clip(action[..., 1] + p["bias"], -1.0, 1.0) + 0.02 * noise[..., 1]
        heading = heading + STEP * speed * turn
        slide = -0.5 * (1.0 - p["traction"]) * p["slope"] * np.cos(heading) ** 2
        x, y = x + STEP * speed * np.cos(heading), y + STEP * (speed * np.sin(heading) + slide)
        reward = ((np.hypot(x, y) < CIRCLE) & (np.abs(speed) < SLOW)).astype(float)
        return np.stack([x, y, heading, speed], -1), reward, np.zeros(reward.shape, dtype=bool)

    def control(self, p: Parameters, observation: np.ndarray, gains: Gains) -> np.ndarray:
        """Forwards or backwards towards the circle, slower when near, by a driver who knows the steered axle."""
        cruise, approach, throttle, steering = gains
        x, y, cosine, sine, speed = (observation[..., i] for i in range(5))
        x, y = 1e3 * x, 1e3 * y
        distance = np.hypot(x, y) + 1e-6
        ahead, left = -(x * cosine + y * sine) / distance, -(y * cosine - x * sine) / distance
        wanted = np.minimum(cruise, approach * distance) * ahead
        turn = steering * left * np.sign(ahead) * np.sign(speed) * np.sign(p["axle"])
        return np.stack([throttle * (wanted - speed), turn], -1)


def _axle(p: Parameters) -> np.ndarray:
    """The turn per metre and unit of steering, in units of the strongest."""
    return np.where(p["axle"] < 0.0, -1.0, 1.0) * (0.5 + 0.5 * np.abs(p["axle"]))
