"""A battery that trades power: prices of about 50 €/MWh, whose daily pattern differs, as do losses and wear."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np
from pydantic import Field

from merpo_foreign.simulated import Controller, Gains, Parameters, Simulated

__all__ = ["Battery"]

CAPACITY, POWER = 4.0, 1.0  # MWh and MW
MEAN = 50.0  # €/MWh


@final
class Battery(Simulated):
    """Power is bought when it is cheap and sold when it is dear; what is stored counts at its price."""

    name = "foreign-battery"

    horizon: int = Field(168, ge=1, le=10_000, description="Steps of an hour per episode.")

    observation_dim: ClassVar[int] = 4
    action_dim: ClassVar[int] = 1
    start_dim: ClassVar[int] = 3
    noise_dim: ClassVar[int] = 1
    ranges: ClassVar[dict[str, tuple[float, float]]] = {
        "phase": (0.0, 24.0),  # the hour at which prices rise through their mean
        "amplitude": (10.0, 30.0),  # €/MWh
        "efficiency": (0.75, 0.95),  # of charging
        "wear": (1.0, 8.0),  # € per MWh charged or discharged
    }
    controllers: ClassVar[dict[str, Controller]] = {
        "poor": Controller((0.05, 0.0, 65.0), 0.5),
        "medium": Controller((0.05, 0.0, 57.0), 0.4),
        "good": Controller((0.15, 8.0, 50.0), 0.2),
    }
    episodes: ClassVar[int] = 30

    def start(self, p: Parameters, uniform: np.ndarray) -> np.ndarray:
        """Charge in MWh, hour, and how far the price is from its pattern."""
        return np.stack([CAPACITY * uniform[..., 0], 24.0 * uniform[..., 1], 20.0 * (uniform[..., 2] - 0.5)], -1)

    def observe(self, p: Parameters, state: np.ndarray) -> np.ndarray:
        """Charge in MWh, price in €/MWh, sine and cosine of the hour."""
        angle = 2.0 * np.pi * state[..., 1] / 24.0
        return np.stack([state[..., 0], _price(p, state), np.sin(angle), np.cos(angle)], -1)

    def advance(
        self, p: Parameters, state: np.ndarray, action: np.ndarray, noise: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Charge at action 1, discharge at -1; the change of money and of the stored energy's value."""
        charge, hour, off = (state[..., i] for i in range(3))
        power = POWER * action[..., 0]
        after = np.clip(charge + np.where(power > 0.0, p["efficiency"], 1.0) * power, 0.0, CAPACITY)
        change = after - charge
        traded = np.where(change > 0.0, change / p["efficiency"], change)
        following = np.stack([after, (hour + 1.0) % 24.0, 0.8 * off + 3.0 * noise[..., 0]], -1)
        before, now = _price(p, state), _price(p, following)
        reward = after * now - charge * before - traded * before - p["wear"] * np.abs(traded)
        return following, reward, np.zeros(reward.shape, dtype=bool)

    def control(self, p: Parameters, observation: np.ndarray, gains: Gains) -> np.ndarray:
        """Buy below what is thought to be the mean price and sell above it, outside of a band."""
        gain, band, mean = gains
        cheap = mean - observation[..., 1]
        return (gain * (cheap - np.clip(cheap, -band, band)))[..., None]


def _price(p: Parameters, state: np.ndarray) -> np.ndarray:
    daily = np.sin(2.0 * np.pi * (state[..., 1] - p["phase"]) / 24.0)
    return MEAN + p["amplitude"] * daily + state[..., 2]
