"""Environment of a half cheetah rewarded for running forward or backward (FOCAL's and PEARL's cheetah-dir)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import mujoco
import numpy as np

from merpo_tasks._checks import require_choice
from merpo_tasks.mujoco.bodies import CHEETAH_FRAMES, asset, never, speed
from merpo_tasks.mujoco.env import MujocoEnv
from merpo_tasks.mujoco.simulation import Array, Simulation, State

__all__ = ["HalfCheetahFwdBackEnv", "half_cheetah_fwd_back"]

CONTROL_COST = 0.05
TORSO = 1  # index of the body


def half_cheetah_fwd_back(directions: Sequence[float], horizon: int, single: bool = False) -> Simulation:
    """The simulation of T tasks with these directions, or of a `single` one without dims [T, E]."""
    models = [asset("half_cheetah.xml") for _ in directions]
    dt = models[0].opt.timestep * CHEETAH_FRAMES
    signs = np.float64(directions[0]) if single else np.asarray(directions, dtype=np.float64)[:, None]

    def start(model: mujoco.MjModel, random: np.random.Generator) -> tuple[Array, Array]:
        position = model.qpos0 + random.uniform(-0.1, 0.1, model.nq)
        return position, 0.1 * random.standard_normal(model.nv)

    def observe(state: State) -> Array:
        """The torso's position is MuJoCo's `xpos`, which lags one substep behind the state, as in FOCAL."""
        return np.concatenate([state["qpos"][..., 1:], state["qvel"], state["xpos"][..., TORSO, :]], axis=-1)

    def reward(before: State, actions: Array, after: State) -> Array:
        clipped = np.minimum(np.maximum(actions, -1.0), 1.0)
        rewards: Array = signs * speed(before, after, dt) - CONTROL_COST * np.square(clipped).sum(-1)
        return rewards

    return Simulation(models, CHEETAH_FRAMES, horizon, start, observe, reward, never, ("qpos", "qvel", "xpos"))


@final
class HalfCheetahFwdBackEnv(MujocoEnv):
    """r = direction · dx/dt − 0.05 ‖a‖²; never terminates. Observations [20]: positions but x, velocities, torso."""

    def __init__(self, direction: float = 1.0, render_mode: str | None = None) -> None:
        require_choice("direction", direction, (-1.0, 1.0))
        self.direction = direction
        super().__init__(render_mode, direction=direction)

    def simulation(self) -> Simulation:
        """The simulation of one task."""
        return half_cheetah_fwd_back([self.direction], 0, single=True)
