"""Environment of an ant rewarded for moving in one direction (FOCAL's and PEARL's ant-dir)."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, final, get_args

import gymnasium
import mujoco
import numpy as np
from numpy.typing import NDArray

from merpo_tasks._checks import require_choice
from merpo_tasks.mujoco.bodies import never
from merpo_tasks.mujoco.env import MujocoEnv
from merpo_tasks.mujoco.simulation import Array, Simulation, State, logged_warnings

__all__ = ["AntFwdBackEnv", "ant_fwd_back"]

FRAMES = 5
TORSO = 1  # index of the body
CONTROL_COST, CONTACT_COST, ALIVE = 0.5, 5e-4, 1.0
LOW, HIGH = 0.2, 1.0  # heights of a healthy torso

Variant = Literal["focal", "corro"]


def ant_fwd_back(
    angles: Sequence[float], horizon: int, variant: Variant = "focal", contact: bool = True, single: bool = False
) -> Simulation:
    """The simulation of T tasks with directions `angles` in radians, or of a `single` one without dims [T, E]."""
    models = [_compiled()] * len(angles)
    dt = models[0].opt.timestep * FRAMES
    goals = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    directions = goals[0] if single else goals[:, None]

    def start(model: mujoco.MjModel, random: np.random.Generator) -> tuple[Array, Array]:
        position = model.qpos0 + random.uniform(-0.1, 0.1, model.nq)
        return position, 0.1 * random.standard_normal(model.nv)

    def forward(before: State, actions: Array, after: State) -> Array:
        moved = after["xpos"][..., TORSO, :2] - before["xpos"][..., TORSO, :2]
        velocity: Array = (moved * directions).sum(-1) / dt
        return velocity

    def reward(before: State, actions: Array, after: State) -> Array:
        clipped = np.minimum(np.maximum(actions, -1.0), 1.0)
        rewards: Array = forward(before, actions, after) - CONTROL_COST * np.square(clipped).sum(-1) + ALIVE
        if contact:
            forces = np.minimum(np.maximum(after["cfrc_ext"], -1.0), 1.0)
            rewards = rewards - CONTACT_COST * np.square(forces).sum((-1, -2))
        return rewards

    if variant == "corro":
        return Simulation(models, FRAMES, horizon, start, _observe, forward, never, ("qpos", "qvel", "xpos"))
    return Simulation(models, FRAMES, horizon, start, _observe, reward, _ended, ("qpos", "qvel", "xpos", "cfrc_ext"))


@functools.cache
def _compiled() -> mujoco.MjModel:
    """Gymnasium's ant with an accelerometer: without a sensor that needs them MuJoCo skips contact forces."""
    path = Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets" / "ant.xml"
    with logged_warnings():
        spec = mujoco.MjSpec.from_file(str(path))
        spec.body("torso").add_site(name="middle")
        spec.add_sensor(type=mujoco.mjtSensor.mjSENS_ACCELEROMETER, objtype=mujoco.mjtObj.mjOBJ_SITE, objname="middle")
        return spec.compile()


def _observe(state: State) -> Array:
    return np.concatenate([state["qpos"][..., 2:], state["qvel"]], axis=-1)


def _ended(state: State) -> NDArray[np.bool_]:
    """Whether a state is not finite, or its torso too low or too high."""
    height = state["qpos"][..., 2]
    finite = np.isfinite(state["qpos"]).all(-1) & np.isfinite(state["qvel"]).all(-1)
    healthy: NDArray[np.bool_] = finite & (height >= LOW) & (height <= HIGH)
    return ~healthy


@final
class AntFwdBackEnv(MujocoEnv):
    """r = v + 1 − 0.5 ‖a‖² − 0.0005 ‖contact forces‖², v the velocity in the task's direction; r = v in CORRO's."""

    def __init__(
        self, angle: float = 0.0, variant: Variant = "focal", contact: bool = True, render_mode: str | None = None
    ) -> None:
        require_choice("variant", variant, get_args(Variant))
        self.angle, self.variant, self.contact = angle, variant, contact
        super().__init__(render_mode, angle=angle, variant=variant, contact=contact)

    def simulation(self) -> Simulation:
        """The simulation of one ant."""
        return ant_fwd_back([self.angle], 0, self.variant, self.contact, single=True)
