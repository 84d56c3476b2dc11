"""A walker whose mass, inertia, damping and friction are multiplied (rand_param_envs, by way of PEARL and FOCAL)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, final, get_args

import mujoco
import numpy as np
from numpy.typing import NDArray

from merpo import MerpoError
from merpo_tasks._checks import require_choice
from merpo_tasks.mujoco.bodies import WALKER_FRAMES, asset, speed
from merpo_tasks.mujoco.env import MujocoEnv
from merpo_tasks.mujoco.simulation import Array, Simulation, State

__all__ = ["MULTIPLIED", "Walker2DParamsEnv", "walker_2d_params"]

TIMESTEP = 0.004  # rand_param_envs; Gymnasium's walker has 0.002
MULTIPLIED = ("body_mass", "body_inertia", "dof_damping", "geom_friction")
LOW, HIGH, LEAN = 0.8, 2.0, 1.0  # heights and angle within which FOCAL's walker stands
CORRO_LOW = 0.5

Variant = Literal["focal", "corro"]


def walker_2d_params(
    tasks: Sequence[Mapping[str, Any]], horizon: int, variant: Variant = "focal", recompute: bool = True
) -> Simulation:
    """T tasks by their multipliers; names and shapes are those of MuJoCo's model, and what is not named stays."""
    models = [_model(task, recompute) for task in tasks]
    dt = TIMESTEP * WALKER_FRAMES

    def start(model: mujoco.MjModel, random: np.random.Generator) -> tuple[Array, Array]:
        position = model.qpos0 + random.uniform(-5e-3, 5e-3, model.nq)
        return position, random.uniform(-5e-3, 5e-3, model.nv)

    def reward(before: State, actions: Array, after: State) -> Array:
        moves = np.minimum(np.maximum(actions, -1.0), 1.0)
        paid: Array = speed(before, after, dt) + 1.0 - 1e-3 * np.square(moves).sum(-1)
        return paid

    observe, ended = (_focal_seen, _focal_ended) if variant == "focal" else (_corro_seen, _corro_ended)
    return Simulation(models, WALKER_FRAMES, horizon, start, observe, reward, ended)


def _focal_seen(state: State) -> Array:
    return np.concatenate([state["qpos"][..., 1:], np.minimum(np.maximum(state["qvel"], -10.0), 10.0)], axis=-1)


def _focal_ended(state: State) -> NDArray[np.bool_]:
    height, angle = state["qpos"][..., 1], state["qpos"][..., 2]
    standing: NDArray[np.bool_] = (height > LOW) & (height < HIGH) & (angle > -LEAN) & (angle < LEAN)
    return ~standing


def _corro_seen(state: State) -> Array:
    return np.concatenate([state["qpos"], state["qvel"]], axis=-1)


def _corro_ended(state: State) -> NDArray[np.bool_]:
    fallen: NDArray[np.bool_] = state["qpos"][..., 1] <= CORRO_LOW
    return fallen


def _model(multipliers: Mapping[str, Any], recompute: bool) -> mujoco.MjModel:
    """Gymnasium's walker of old, in local coordinates, whose left foot alone has the friction 1.9."""
    model = asset("walker2d.xml")
    model.opt.timestep = TIMESTEP
    for name, values in multipliers.items():
        field = getattr(model, name)
        factors = np.asarray(values, dtype=np.float64)
        if factors.shape != field.shape:
            raise MerpoError(f"walker-2d-params: {name} has shape {factors.shape}, expected multipliers {field.shape}")
        field[:] *= factors
    if recompute:
        mujoco.mj_setConst(model, mujoco.MjData(model))
    return model


@final
class Walker2DParamsEnv(MujocoEnv):
    """r = dx/dt + 1 − 0.001 ‖a‖²; it ends when the walker no longer stands. Multipliers that are not given are 1.

    Raises `MerpoError` for multipliers that do not have the shape of what they multiply.
    """

    def __init__(
        self,
        body_mass: Sequence[float] | None = None,
        body_inertia: Sequence[Sequence[float]] | None = None,
        dof_damping: Sequence[float] | None = None,
        geom_friction: Sequence[Sequence[float]] | None = None,
        variant: Variant = "focal",
        recompute: bool = True,
        render_mode: str | None = None,
    ) -> None:
        require_choice("variant", variant, get_args(Variant))
        given = dict(zip(MULTIPLIED, (body_mass, body_inertia, dof_damping, geom_friction), strict=True))
        self.multipliers = {name: values for name, values in given.items() if values is not None}
        self.variant, self.recompute = variant, recompute
        super().__init__(render_mode, **self.multipliers, variant=variant, recompute=recompute)

    def simulation(self) -> Simulation:
        """One walker."""
        return walker_2d_params([self.multipliers], 0, self.variant, self.recompute)
