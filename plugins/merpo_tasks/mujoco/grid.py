"""A grid of MuJoCo environments, several episodes of several tasks, stepped together by `mujoco.batch` on all threads.

Results equal those of Gymnasium's environments to the bit, as each simulation keeps its whole integration state;
`mujoco.rollout` would restart the constraint solver in every step and diverge.
"""

from __future__ import annotations

from typing import Any, final

import mujoco
import mujoco.batch
import numpy as np
from gymnasium.utils.seeding import np_random
from numpy.typing import NDArray

from merpo import Batch
from merpo.lazy import torch
from merpo_tasks.mujoco.simulation import UNSTABLE, Array, Simulation, logged_warnings

__all__ = ["MujocoGrid"]


@final
class MujocoGrid:
    """T × E simulations; a `merpo.Grid`."""

    def __init__(self, simulation: Simulation, episodes: int, seed: int, restart: bool) -> None:
        shape = len(simulation.models), episodes
        self.running = np.ones(shape, dtype=np.bool_)
        self._simulation, self._restart = simulation, restart
        self._models = [model for model in simulation.models for _ in range(episodes)]
        self._randoms = [np_random(seed + i % episodes)[0] for i in range(len(self._models))]
        threads = min(torch.get_num_threads(), len(self._models))
        self._batch = mujoco.batch.Batch(simulation.models[0], len(self._models), threads)
        self._batch.set_models(self._models)
        self._views = {name: self._grid(self._batch.bind(name)) for name in simulation.fields}
        self._controls = self._grid(self._batch.ctrl)
        self._unstable = self._grid(self._batch.warning)[..., UNSTABLE, 1]  # warning counts [T, E, 3], a view
        self._steps = np.zeros(shape, dtype=np.int64)
        self._begin(self.running)

    def observations(self) -> torch.Tensor:
        """The current observations [T, E, O]."""
        return self._observations

    def step(self, seen: torch.Tensor, actions: torch.Tensor) -> tuple[Batch, torch.Tensor]:
        """Step all running environments; an unstable simulation terminates, with reward 0 for that step."""
        simulation, running, before, controls = self._simulation, self.running, self._state, actions.numpy()
        self._controls[...] = controls
        with logged_warnings():
            self._batch.step(None if running.all() else running.ravel(), nstep=simulation.frame_skip)
        self._steps += running
        self._read()
        unstable = self._unstable.any(-1)
        rewards = np.where(running & ~unstable, simulation.reward(before, controls, self._state), 0.0)
        terminated = running & (simulation.ended(self._state) | unstable)
        truncated = running & (self._steps >= simulation.horizon)
        batch = Batch(seen, actions, _tensor(rewards), self._observations, _tensor(terminated))
        self._finish(terminated | truncated)
        return batch, _tensor(truncated)

    def close(self) -> None:
        """Do nothing: the threads end with the last reference to this grid."""

    def _finish(self, done: NDArray[np.bool_]) -> None:
        """Restart the environments whose episodes are done, or stop them."""
        if not self._restart:
            self.running = self.running & ~done
        elif done.any():
            self._begin(done)

    def _begin(self, chosen: NDArray[np.bool_]) -> None:
        """Reset the chosen environments [T, E] as Gymnasium's `reset` does."""
        self._batch.reset(chosen.ravel(), stage=mujoco.mjtStage.mjSTAGE_NONE)
        for i in np.flatnonzero(chosen):
            self._batch.qpos[i], self._batch.qvel[i] = self._simulation.start(self._models[i], self._randoms[i])
        self._batch.forward(chosen.ravel())
        self._steps[chosen] = 0
        self._read()

    def _read(self) -> None:
        """Copy the current state and compute the observations."""
        self._state = {name: rows.copy() for name, rows in self._views.items()}
        self._observations = _tensor(self._simulation.observe(self._state))

    def _grid(self, rows: Array) -> Array:
        """A view [T, E, ...] of an array over all simulations [T * E, ...]."""
        return rows.reshape(*self.running.shape, *rows.shape[1:])


def _tensor(array: NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(array.astype(np.float32))  # several times as fast as `torch.as_tensor`
