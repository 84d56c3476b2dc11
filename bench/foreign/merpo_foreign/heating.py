"""Heating of a room: the power and the insulation of the building differ; rewards of about -1e3."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np
from pydantic import Field

from merpo_foreign.simulated import Controller, Gains, Parameters, Simulated

__all__ = ["Heating"]

STEP = 0.25  # hours


@final
class Heating(Simulated):
    """A room behind a heavy wall is kept at 21 °C by day and may cool at night; energy costs more by day."""

    name = "foreign-heating"

    horizon: int = Field(96, ge=1, le=10_000, description="Steps of 15 minutes per episode.")

    observation_dim: ClassVar[int] = 5
    action_dim: ClassVar[int] = 1
    start_dim: ClassVar[int] = 3
    noise_dim: ClassVar[int] = 1
    ranges: ClassVar[dict[str, tuple[float, float]]] = {
        "loss": (0.10, 0.30),  # kW/K from wall to outside
        "capacity": (1.5, 4.0),  # kWh/K of the wall
        "power": (5.0, 12.0),  # kW
    }
    controllers: ClassVar[dict[str, Controller]] = {
        "poor": Controller((0.25, 23.0, 0.0, 0.0), 0.4),
        "medium": Controller((0.5, 21.5, 0.1, 0.5), 0.3),
        "good": Controller((1.0, 21.0, 2.0, 1.0), 0.2),
    }

    def start(self, p: Parameters, uniform: np.ndarray) -> np.ndarray:
        """Room, wall, hour, and the day's mean temperature outside."""
        room = 16.0 + 6.0 * uniform[..., 0]
        hour = 24.0 * uniform[..., 2]
        return np.stack([room, room - 2.0, hour, -4.0 + 12.0 * uniform[..., 1]], -1)

    def observe(self, p: Parameters, state: np.ndarray) -> np.ndarray:
        """Room, wall and outside in °C, sine and cosine of the hour."""
        angle = 2.0 * np.pi * state[..., 2] / 24.0
        return np.stack([state[..., 0], state[..., 1], _outside(state), np.sin(angle), np.cos(angle)], -1)

    def advance(
        self, p: Parameters, state: np.ndarray, action: np.ndarray, noise: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Two heat capacities; cost of energy, and of the squared distance from 21 °C, less by night."""
        room, wall, hour, mean = (state[..., i] for i in range(4))
        heat = 0.5 * (action[..., 0] + 1.0) * p["power"]
        flow = 0.8 * (room - wall)
        next_room = room + STEP * (heat - flow) / 0.5 + 0.1 * noise[..., 0]
        next_wall = wall + STEP * (flow - p["loss"] * (wall - _outside(state))) / p["capacity"]
        day = (hour >= 7.0) & (hour < 22.0)
        price = np.where(day, 100.0, 50.0)
        comfort = np.where(day, 400.0, 40.0) * (next_room - 21.0) ** 2
        reward = -(price * heat + comfort) * STEP
        following = np.stack([next_room, next_wall, (hour + STEP) % 24.0, mean], -1)
        return following, reward, np.zeros(reward.shape, dtype=bool)

    def control(self, p: Parameters, observation: np.ndarray, gains: Gains) -> np.ndarray:
        """Proportional to the distance from a target that is lower by night, with some feed-forward from outside."""
        gain, target, setback, forward = gains
        hour = (np.arctan2(observation[..., 3], observation[..., 4]) * 24.0 / (2.0 * np.pi)) % 24.0
        day = (hour >= 6.0) & (hour < 21.0)
        wanted = np.where(day, target, target - setback)
        base = forward * 0.2 * (wanted - observation[..., 2]) / 8.5
        return (2.0 * (base + gain * 0.25 * (wanted - observation[..., 0])) - 1.0)[..., None]


def _outside(state: np.ndarray) -> np.ndarray:
    return state[..., 3] + 5.0 * np.sin(2.0 * np.pi * (state[..., 2] - 9.0) / 24.0)
