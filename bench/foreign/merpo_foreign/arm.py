"""An arm of two links that reaches for a goal, which differs and is not observed: the same dynamics, other rewards."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np
from pydantic import Field

from merpo_foreign.simulated import Controller, Gains, Parameters, Simulated

__all__ = ["Arm"]

STEP = 0.05  # s
LINK = 0.5  # m, of either link, a rod of 1 kg
FIRST, BOTH, SECOND = 5.0 / 3.0 * LINK**2, 0.5 * LINK**2, LINK**2 / 3.0  # kg m², of the two rods
TORQUE = np.array([1.5, 0.6])  # N m at action 1


@final
class Arm(Simulated):
    """The hand of a horizontal arm is moved to a goal and held there."""

    name = "foreign-arm"

    horizon: int = Field(100, ge=1, le=10_000, description="Steps of 50 ms per episode.")

    observation_dim: ClassVar[int] = 6
    action_dim: ClassVar[int] = 2
    start_dim: ClassVar[int] = 4
    noise_dim: ClassVar[int] = 2
    ranges: ClassVar[dict[str, tuple[float, float]]] = {
        "reach": (0.5, 0.95),  # m, of the goal from the shoulder
        "bearing": (-2.0, 2.0),  # rad, of the goal
    }
    known: ClassVar[tuple[str, ...]] = ("reach", "bearing")
    controllers: ClassVar[dict[str, Controller]] = {
        "poor": Controller((0.5, 0.1, 0.5), 0.5),
        "medium": Controller((0.8, 0.3, 0.8), 0.4),
        "good": Controller((3.0, 1.2, 1.0), 0.25),
    }

    def start(self, p: Parameters, uniform: np.ndarray) -> np.ndarray:
        """Angles of shoulder and elbow, and their velocities."""
        return np.array([-0.8, 0.4, -0.2, -0.2]) + uniform * np.array([1.6, 1.2, 0.4, 0.4])

    def observe(self, p: Parameters, state: np.ndarray) -> np.ndarray:
        """Cosines and sines of both angles, and the velocities in rad/s."""
        angles = state[..., :2]
        return np.concatenate([np.cos(angles), np.sin(angles), state[..., 2:]], -1)

    def advance(
        self, p: Parameters, state: np.ndarray, action: np.ndarray, noise: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Semi-implicit Euler of two rods with friction; the distance from the goal in m, negative."""
        q, r, v, w = (state[..., i] for i in range(4))
        torque = TORQUE * (action + 0.1 * noise) - np.array([0.3, 0.1]) * state[..., 2:]
        bend = BOTH * np.sin(r)
        one = torque[..., 0] + bend * (2.0 * v + w) * w
        two = torque[..., 1] - bend * v**2
        a, b, d = FIRST + 2.0 * BOTH * np.cos(r), SECOND + BOTH * np.cos(r), SECOND
        det = a * d - b**2
        v = np.clip(v + STEP * (d * one - b * two) / det, -8.0, 8.0)
        w = np.clip(w + STEP * (a * two - b * one) / det, -8.0, 8.0)
        q, r = q + STEP * v, r + STEP * w
        x, y = LINK * (np.cos(q) + np.cos(q + r)), LINK * (np.sin(q) + np.sin(q + r))
        reward = -np.hypot(x - p["reach"] * np.cos(p["bearing"]), y - p["reach"] * np.sin(p["bearing"]))
        return np.stack([q, r, v, w], -1), reward, np.zeros(reward.shape, dtype=bool)

    def control(self, p: Parameters, observation: np.ndarray, gains: Gains) -> np.ndarray:
        """Proportional and derivative feedback to the angles at the goal, or to a `share` of them."""
        proportional, derivative, share = gains
        elbow = 2.0 * np.arccos(np.clip(p["reach"] / (2.0 * LINK), -1.0, 1.0))
        q, r = np.arctan2(observation[..., 2:4], observation[..., :2]).transpose(-1, *range(observation.ndim - 1))
        errors = np.stack([_turn(share * (p["bearing"] - 0.5 * elbow) - q), _turn(share * elbow - r)], -1)
        return np.asarray(proportional)[..., None] * errors - np.asarray(derivative)[..., None] * observation[..., 4:]


def _turn(angle: np.ndarray) -> np.ndarray:
    return (angle + np.pi) % (2.0 * np.pi) - np.pi
