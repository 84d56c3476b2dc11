"""Initial states, observations, rewards and terminations of Walker2d-v5, Hopper-v5 and HalfCheetah-v5 on arrays."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import gymnasium
import mujoco
import numpy as np
from numpy.typing import NDArray

from merpo_tasks.mujoco.simulation import Array, Simulation, State, logged_warnings

__all__ = ["CHEETAH_FRAMES", "WALKER_FRAMES", "asset", "half_cheetah", "hopper", "never", "speed", "walker2d"]

CHEETAH_FRAMES, WALKER_FRAMES = 5, 4  # the hopper has the walker's


def asset(name: str) -> mujoco.MjModel:
    """A new copy of a model that ships with Gymnasium, e.g. `walker2d_v5.xml` or `half_cheetah.xml`."""
    return copy.copy(_compiled(name))


@functools.cache
def _compiled(name: str) -> mujoco.MjModel:
    """The compiled model, cached, as compiling takes milliseconds."""
    with logged_warnings():
        return mujoco.MjModel.from_xml_path(str(Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets" / name))


def walker2d(models: Sequence[mujoco.MjModel], horizon: int) -> Simulation:
    """Walker2d-v5 with these models."""

    def ended(state: State) -> NDArray[np.bool_]:
        height, angle = state["qpos"][..., 1], state["qpos"][..., 2]
        healthy: NDArray[np.bool_] = (height > 0.8) & (height < 2.0) & (angle > -1.0) & (angle < 1.0)
        return ~healthy

    return _standing(models, horizon, ended)


def hopper(models: Sequence[mujoco.MjModel], horizon: int) -> Simulation:
    """Hopper-v5 with these models."""

    def ended(state: State) -> NDArray[np.bool_]:
        height, angle = state["qpos"][..., 1], state["qpos"][..., 2]
        rest = np.concatenate([state["qpos"][..., 2:], state["qvel"]], axis=-1)
        within = ((rest > -100.0) & (rest < 100.0)).all(-1)
        healthy: NDArray[np.bool_] = within & (height > 0.7) & (angle > -0.2) & (angle < 0.2)
        return ~healthy

    return _standing(models, horizon, ended)


def _standing(
    models: Sequence[mujoco.MjModel], horizon: int, ended: Callable[[State], NDArray[np.bool_]]
) -> Simulation:
    """The simulation of walker or hopper: rewarded for speed and for standing."""
    dt = models[0].opt.timestep * WALKER_FRAMES

    def start(model: mujoco.MjModel, random: np.random.Generator) -> tuple[Array, Array]:
        position = model.qpos0 + random.uniform(-5e-3, 5e-3, model.nq)
        return position, random.uniform(-5e-3, 5e-3, model.nv)

    def observe(state: State) -> Array:
        return np.concatenate([state["qpos"][..., 1:], state["qvel"].clip(-10, 10)], axis=-1)

    def reward(before: State, actions: Array, after: State) -> Array:
        rewards: Array = speed(before, after, dt) + ~ended(after) - 1e-3 * np.square(actions).sum(-1)
        return rewards

    return Simulation(models, WALKER_FRAMES, horizon, start, observe, reward, ended)


def half_cheetah(models: Sequence[mujoco.MjModel], horizon: int) -> Simulation:
    """HalfCheetah-v5 with these models."""
    dt = models[0].opt.timestep * CHEETAH_FRAMES

    def start(model: mujoco.MjModel, random: np.random.Generator) -> tuple[Array, Array]:
        position = model.qpos0 + random.uniform(-0.1, 0.1, model.nq)
        return position, 0.1 * random.standard_normal(model.nv)

    def observe(state: State) -> Array:
        return np.concatenate([state["qpos"][..., 1:], state["qvel"]], axis=-1)

    def reward(before: State, actions: Array, after: State) -> Array:
        rewards: Array = speed(before, after, dt) - 0.1 * np.square(actions).sum(-1)
        return rewards

    return Simulation(models, CHEETAH_FRAMES, horizon, start, observe, reward, never)


def speed(before: State, after: State, dt: float) -> Array:
    """The velocity of the first coordinate during a step [...]."""
    moved: Array = after["qpos"][..., 0] - before["qpos"][..., 0]
    return moved / dt


def never(state: State) -> NDArray[np.bool_]:
    """No termination: False for every state [...]."""
    return np.zeros(state["qpos"].shape[:-1], dtype=np.bool_)
