"""A reservoir that feeds a town through a long pipe: volumes of 1e3 to 1e5 m³, rewards of about 1e4, a delay of 4 h."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np
from pydantic import Field

from merpo_foreign.simulated import Controller, Gains, Parameters, Simulated

__all__ = ["Reservoir"]

FULL, TANK = 1e5, 1.2e4  # m³, of the reservoir and of the town's tank
DELAY = 4  # hours in the pipe


@final
class Reservoir(Simulated):
    """Water is released into a pipe, from which it reaches the tank of a town hours later; pumping is dear by day."""

    name = "foreign-reservoir"

    horizon: int = Field(200, ge=1, le=10_000, description="Steps of an hour per episode.")

    observation_dim: ClassVar[int] = 5 + DELAY
    action_dim: ClassVar[int] = 1
    start_dim: ClassVar[int] = 3
    noise_dim: ClassVar[int] = 2
    ranges: ClassVar[dict[str, tuple[float, float]]] = {
        "inflow": (1100.0, 1900.0),  # m³ per hour into the reservoir
        "demand": (900.0, 1500.0),  # m³ per hour, mean over the day
        "loss": (0.02, 0.25),  # share of the water that the pipe loses
        "gate": (2500.0, 5000.0),  # m³ per hour through the open gate of a full reservoir
    }
    controllers: ClassVar[dict[str, Controller]] = {
        "poor": Controller((6000.0, 0.4, 0.0, 0.0), 0.4),
        "medium": Controller((7000.0, 0.15, 0.8, 0.0), 0.3),
        "good": Controller((10000.0, 0.2, 0.9, 1.0), 0.2),
    }
    episodes: ClassVar[int] = 25

    def start(self, p: Parameters, uniform: np.ndarray) -> np.ndarray:
        """Reservoir, tank, last hour's demand, hour, and the water in the pipe, first what has just been released."""
        demand = np.broadcast_to(p["demand"], uniform.shape[:-1])
        levels = (FULL * (0.4 + 0.5 * uniform[..., 0]), TANK * (0.3 + 0.5 * uniform[..., 1]))
        return np.stack([*levels, demand, 24.0 * uniform[..., 2], *[demand] * DELAY], -1)

    def observe(self, p: Parameters, state: np.ndarray) -> np.ndarray:
        """The state, in m³, with sine and cosine of the hour."""
        angle = 2.0 * np.pi * state[..., 3:4] / 24.0
        return np.concatenate([state[..., :3], state[..., 4:], np.sin(angle), np.cos(angle)], -1)

    def advance(
        self, p: Parameters, state: np.ndarray, action: np.ndarray, noise: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Balances of water; € for what is delivered, less for shortage, spilt water and the energy of pumping."""
        volume, tank, _, hour = (state[..., i] for i in range(4))
        released = 0.5 * (action[..., 0] + 1.0) * p["gate"] * np.sqrt(volume / FULL)
        volume = np.clip(volume - released + p["inflow"] * np.exp(0.3 * noise[..., 0]), 0.0, FULL)
        daily = 1.0 + 0.5 * np.sin(2.0 * np.pi * (hour - 8.0) / 24.0)
        demand = p["demand"] * daily * np.exp(0.1 * noise[..., 1])
        level = tank + (1.0 - p["loss"]) * state[..., -1] - demand
        shortage, spilt = np.maximum(-level, 0.0), np.maximum(level - TANK, 0.0)
        price = np.where((hour >= 7.0) & (hour < 22.0), 3.0, 1.0)
        reward = 10.0 * (demand - shortage) - 20.0 * shortage - 10.0 * spilt - price * released
        moved = np.stack([volume, np.clip(level, 0.0, TANK), demand, (hour + 1.0) % 24.0, released], -1)
        following = np.concatenate([moved, state[..., 4:-1]], -1)
        return following, reward, np.zeros(reward.shape, dtype=bool)

    def control(self, p: Parameters, observation: np.ndarray, gains: Gains) -> np.ndarray:
        """Release the demand and what tank and pipe lack, for a gate and a pipe of the usual kind."""
        target, gain, forward, transit = gains
        pipe = observation[..., 3 : 3 + DELAY].sum(-1)
        lacking = target - observation[..., 1] - transit * (0.85 * pipe - DELAY * 1200.0)
        wanted = forward * observation[..., 2] + gain * lacking
        return (2.0 * wanted / 3500.0 - 1.0)[..., None]
