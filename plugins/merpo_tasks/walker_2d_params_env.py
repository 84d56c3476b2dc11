"""Environment of a walker with scaled mass, inertia, damping and friction (rand_param_envs, via PEARL and FOCAL)."""

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
LOW, HIGH, LEAN = 0.8, 2.0, 1.0  # bounds of height and angle of a standing walker (FOCAL)
CORRO_LOW = 0.5

Variant = Literal["focal", "corro"]


def walker_2d_params(
    tasks: Sequence[Mapping[str, Any]], horizon: int, variant: Variant = "focal", recompute: bool = True
) -> Simulation:
    """The simulation of T tasks with these multipliers, by name and shape of MuJoCo's fields; others are unchanged."""
    models = [_model(task, recompute) for task in tasks]
    dt = TIMESTEP * WALKER_FRAMES

    def start(model: mujoco.MjModel, random: np.random.Generator) -> tuple[Array, Array]:
        position = model.qpos0 + random.uniform(-5e-3, 5e-3, model.nq)
        return position, random.uniform(-5e-3, 5e-3, model.nv)

    def reward(before: State, actions: Array, after: State) -> Array:
        clipped = np.minimum(np.maximum(actions, -1.0), 1.0)
        rewards: Array = speed(before, after, dt) + 1.0 - 1e-3 * np.square(clipped).sum(-1)
        return rewards

    observe, ended = (_focal_observe, _focal_ended) if variant == "focal" else (_corro_observe, _corro_ended)
    return Simulation(models, WALKER_FRAMES, horizon, start, observe, reward, ended)


def _focal_observe(state: State) -> Array:
    return np.concatenate([state["qpos"][..., 1:], np.minimum(np.maximum(state["qvel"], -10.0), 10.0)], axis=-1)


def _focal_ended(state: State) -> NDArray[np.bool_]:
    height, angle = state["qpos"][..., 1], state["qpos"][..., 2]
    standing: NDArray[np.bool_] = (height > LOW) & (height < HIGH) & (angle > -LEAN) & (angle < LEAN)
    return ~standing


def _corro_observe(state: State) -> Array:
    return np.concatenate([state["qpos"], state["qvel"]], axis=-1)


def _corro_ended(state: State) -> NDArray[np.bool_]:
    fallen: NDArray[np.bool_] = state["qpos"][..., 1] <= CORRO_LOW
    return fallen


def _model(multipliers: Mapping[str, Any], recompute: bool) -> mujoco.MjModel:
    """Gymnasium's older walker (local coordinates, friction 1.9 of the left foot only) with scaled parameters."""
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
    """r = dx/dt + 1 − 0.001 ‖a‖²; terminates when the walker falls. Multipliers are 1 by default.

    Raises `MerpoError` for multipliers whose shape differs from that of the model's field.
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
        """The simulation of one walker."""
        return walker_2d_params([self.multipliers], 0, self.variant, self.recompute)
