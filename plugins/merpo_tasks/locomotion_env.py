"""Environments HalfCheetah-v5, Hopper-v5 and Walker2d-v5 by the body's name."""

from __future__ import annotations

from typing import Literal, final, get_args

from merpo_tasks._checks import require_choice
from merpo_tasks.mujoco.bodies import asset, half_cheetah, hopper, walker2d
from merpo_tasks.mujoco.env import MujocoEnv
from merpo_tasks.mujoco.simulation import Simulation

__all__ = ["LocomotionEnv", "locomotion"]

Body = Literal["halfcheetah", "hopper", "walker2d"]
BODIES = {
    "halfcheetah": (half_cheetah, "half_cheetah.xml"),
    "hopper": (hopper, "hopper.xml"),
    "walker2d": (walker2d, "walker2d_v5.xml"),
}


def locomotion(body: Body, tasks: int, horizon: int) -> Simulation:
    """The simulation of a number of equal tasks."""
    simulation, xml = BODIES[body]
    return simulation([asset(xml) for _ in range(tasks)], horizon)


@final
class LocomotionEnv(MujocoEnv):
    """Reward and termination as in Gymnasium's v5: forward speed, and for hopper and walker a bonus for standing."""

    def __init__(self, body: Body = "halfcheetah", render_mode: str | None = None) -> None:
        require_choice("body", body, get_args(Body))
        self.body: Body = body
        super().__init__(render_mode, body=body)

    def simulation(self) -> Simulation:
        """The simulation of one body."""
        return locomotion(self.body, 1, 0)
