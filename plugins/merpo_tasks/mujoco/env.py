"""Base class of the MuJoCo environments: a `Simulation` of one task with Gymnasium's interface."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from typing import Any

import gymnasium
import mujoco
import numpy as np
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from merpo_tasks.mujoco.picture import picture
from merpo_tasks.mujoco.simulation import UNSTABLE, Simulation, logged_warnings

__all__ = ["MujocoEnv"]

Float32 = NDArray[np.float32]


class MujocoEnv(gymnasium.Env[Float32, Float32], ABC):
    """A Gymnasium environment with the steps, rewards and terminations of `simulation`, the same as in a `MujocoGrid`.

    A copy or an unpickled instance is a new environment with the same arguments, before its first reset.
    """

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012

    def __init__(self, render_mode: str | None, **arguments: Any) -> None:
        self.render_mode = render_mode
        self._arguments = {"render_mode": render_mode, **arguments}
        self._simulation = self.simulation()
        (self.model,) = self._simulation.models
        self.data = mujoco.MjData(self.model)
        self.metadata = {
            **self.metadata,
            "render_fps": round(1 / (self._simulation.frame_skip * self.model.opt.timestep)),
        }
        self._now = {name: getattr(self.data, name) for name in self._simulation.fields}  # views of the current state
        self._unstable = self.data.warning.number[UNSTABLE]  # warning counts [3], a view
        width = self._simulation.observe(self._now).shape[-1]
        self.observation_space = gymnasium.spaces.Box(np.float32(-np.inf), np.float32(np.inf), (width,), np.float32)
        self.action_space = gymnasium.spaces.Box(np.float32(-1), np.float32(1), (self.model.nu,), np.float32)
        self._started = False

    @abstractmethod
    def simulation(self) -> Simulation:
        """The simulation of one task; its horizon is ignored, as Gymnasium's `TimeLimit` truncates episodes."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float32, dict[str, Any]]:
        """Reset to an initial state, drawn from the environment's seeded generator."""
        super().reset(seed=seed)
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:], self.data.qvel[:] = self._simulation.start(self.model, self.np_random)
        mujoco.mj_forward(self.model, self.data)
        self._started = True
        return self._observation(), {}

    def step(self, action: Float32) -> tuple[Float32, float, bool, bool, dict[str, Any]]:
        """Apply the action, clipped to [-1, 1], for `frame_skip` steps of MuJoCo.

        An unstable simulation terminates, with reward 0 for that step.
        """
        if not self._started:
            raise ResetNeeded(f"{type(self).__name__}: call reset before the first step")
        simulation, now = self._simulation, self._now
        before = {name: value.copy() for name, value in now.items()}
        self.data.ctrl[:] = action
        with logged_warnings():
            mujoco.mj_step(self.model, self.data, simulation.frame_skip)
        if any(self._unstable.tolist()):  # faster than NumPy's `any`
            return self._observation(), 0.0, True, False, {}
        reward = float(simulation.reward(before, action, now))
        return self._observation(), reward, bool(simulation.ended(now)), False, {}

    def render(self) -> NDArray[np.uint8] | None:
        """An image of the body from the side [H, W, 3], without OpenGL; None unless `render_mode` is "rgb_array"."""
        return picture(self.model, self.data) if self.render_mode == "rgb_array" else None

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial(type(self), **self._arguments), ()

    def _observation(self) -> Float32:
        return self._simulation.observe(self._now).astype(np.float32)
