"""One MuJoCo environment: a simulation of one task as Gymnasium wants it, for those who play or watch a single one."""

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
    """Steps, rewards and ends are those of `simulation`, which a grid of many has, too.

    A copy or a pickle is a new environment with the same arguments, before its first reset.
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
        self._now = {name: getattr(self.data, name) for name in self._simulation.fields}  # live
        self._lost = self.data.warning.number[UNSTABLE]  # how often [3]; live, too
        width = self._simulation.observe(self._now).shape[-1]
        self.observation_space = gymnasium.spaces.Box(np.float32(-np.inf), np.float32(np.inf), (width,), np.float32)
        self.action_space = gymnasium.spaces.Box(np.float32(-1), np.float32(1), (self.model.nu,), np.float32)
        self._started = False

    @abstractmethod
    def simulation(self) -> Simulation:
        """One task, from the arguments; its horizon does not count, as time is left to Gymnasium's `TimeLimit`."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float32, dict[str, Any]]:
        """A first state, from the environment's own generator."""
        super().reset(seed=seed)
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:], self.data.qvel[:] = self._simulation.start(self.model, self.np_random)
        mujoco.mj_forward(self.model, self.data)
        self._started = True
        return self._observation(), {}

    def step(self, action: Float32) -> tuple[Float32, float, bool, bool, dict[str, Any]]:
        """Hold the action, cut to [-1, 1], for `frame_skip` steps of MuJoCo.

        An unstable simulation ends, and earns nothing for that step.
        """
        if not self._started:
            raise ResetNeeded(f"{type(self).__name__}: reset comes before the first step")
        simulation, now = self._simulation, self._now
        before = {name: value.copy() for name, value in now.items()}
        self.data.ctrl[:] = action
        with logged_warnings():
            mujoco.mj_step(self.model, self.data, simulation.frame_skip)
        if any(self._lost.tolist()):  # faster than NumPy's
            return self._observation(), 0.0, True, False, {}
        reward = float(simulation.reward(before, action, now))
        return self._observation(), reward, bool(simulation.ended(now)), False, {}

    def render(self) -> NDArray[np.uint8] | None:
        """The body from the side [H, W, 3], drawn without OpenGL; None unless `render_mode` is "rgb_array"."""
        return picture(self.model, self.data) if self.render_mode == "rgb_array" else None

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial(type(self), **self._arguments), ()

    def _observation(self) -> Float32:
        return self._simulation.observe(self._now).astype(np.float32)
