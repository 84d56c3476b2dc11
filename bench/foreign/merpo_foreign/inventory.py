"""A shop that orders goods: deliveries come three days later; demand, prices and costs differ; 50 steps."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np
from pydantic import Field

from merpo_foreign.simulated import Controller, Gains, Parameters, Simulated

__all__ = ["Inventory"]

DELAY = 3  # days
ORDER = 200.0  # units at action 1


@final
class Inventory(Simulated):
    """Goods are ordered for customers who do not wait; what lies in the store costs money, and some of it spoils."""

    name = "foreign-inventory"

    horizon: int = Field(50, ge=1, le=10_000, description="Steps of a day per episode.")

    observation_dim: ClassVar[int] = 4 + DELAY
    action_dim: ClassVar[int] = 1
    start_dim: ClassVar[int] = 2
    noise_dim: ClassVar[int] = 1
    ranges: ClassVar[dict[str, tuple[float, float]]] = {
        "demand": (40.0, 120.0),  # units a day
        "week": (0.0, 0.6),  # share by which demand varies over the week
        "spoilage": (0.0, 0.08),  # share of the store a day
        "margin": (2.0, 10.0),  # € per unit sold
        "storage": (0.1, 0.6),  # € per unit and day
    }
    controllers: ClassVar[dict[str, Controller]] = {
        "poor": Controller((100.0, 0.5, 0.0), 0.4),
        "medium": Controller((100.0, 0.5, 2.0), 0.3),
        "good": Controller((150.0, 0.3, 5.0), 0.2),
    }
    episodes: ClassVar[int] = 80

    def start(self, p: Parameters, uniform: np.ndarray) -> np.ndarray:
        """Store, last day's demand, day of the week, and the deliveries to come, first the last one."""
        demand = np.broadcast_to(p["demand"], uniform.shape[:-1])
        day = np.floor(7.0 * uniform[..., 1])
        return np.stack([400.0 * uniform[..., 0], demand, day, *[demand] * DELAY], -1)

    def observe(self, p: Parameters, state: np.ndarray) -> np.ndarray:
        """Store, last demand and deliveries to come in units, sine and cosine of the day of the week."""
        angle = 2.0 * np.pi * state[..., 2:3] / 7.0
        return np.concatenate([state[..., :2], state[..., 3:], np.sin(angle), np.cos(angle)], -1)

    def advance(
        self, p: Parameters, state: np.ndarray, action: np.ndarray, noise: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """€ earned by sales, less what the store and the spoilt goods cost."""
        store, _, day = (state[..., i] for i in range(3))
        ordered = 0.5 * (action[..., 0] + 1.0) * ORDER
        store = store + state[..., -1]
        daily = 1.0 + p["week"] * np.sin(2.0 * np.pi * day / 7.0)
        demand = p["demand"] * daily * np.exp(0.2 * noise[..., 0])
        sold = np.minimum(store, demand)
        spoilt = p["spoilage"] * (store - sold)
        left = store - sold - spoilt
        reward = p["margin"] * sold - p["storage"] * left - 4.0 * spoilt
        moved = np.stack([left, demand, (day + 1.0) % 7.0, ordered], -1)
        return np.concatenate([moved, state[..., 3:-1]], -1), reward, np.zeros(reward.shape, dtype=bool)

    def control(self, p: Parameters, observation: np.ndarray, gains: Gains) -> np.ndarray:
        """Order up to a level, which is a number of units and a number of days of the last demand."""
        units, gain, days = gains
        there = observation[..., 0] + observation[..., 2 : 2 + DELAY].sum(-1)
        return (2.0 * gain * (units + days * observation[..., 1] - there) / ORDER - 1.0)[..., None]
