"""HalfCheetah-v5, Hopper-v5 and Walker2d-v5 by name, one or many at a time."""

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
    """So many times the same task."""
    simulation, xml = BODIES[body]
    return simulation([asset(xml) for _ in range(tasks)], horizon)


@final
class LocomotionEnv(MujocoEnv):
    """Paid for moving forward, and for standing where that can end; the numbers are Gymnasium's."""

    def __init__(self, body: Body = "halfcheetah", render_mode: str | None = None) -> None:
        require_choice("body", body, get_args(Body))
        self.body: Body = body
        super().__init__(render_mode, body=body)

    def simulation(self) -> Simulation:
        """One body."""
        return locomotion(self.body, 1, 0)
