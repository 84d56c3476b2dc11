"""MuJoCo environments of several tasks, several of each, as arrays of states that `mujoco.batch` steps on all threads.

The numbers are those of Gymnasium's environments to the last bit, as each simulation keeps its whole integration state:
`mujoco.rollout` would start the constraint solver of every step anew, and drift away.
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
        self._live = {name: self._grid(self._batch.bind(name)) for name in simulation.fields}
        self._controls = self._grid(self._batch.ctrl)
        self._lost = self._grid(self._batch.warning)[..., UNSTABLE, 1]  # how often [T, E, 3]; live, too
        self._steps = np.zeros(shape, dtype=np.int64)
        self._begin(self.running)

    def observations(self) -> torch.Tensor:
        """What is seen now [T, E, O]."""
        return self._seen

    def step(self, observations: torch.Tensor, actions: torch.Tensor) -> tuple[Batch, torch.Tensor]:
        """One step of everything that runs, together. An unstable simulation ends, and earns nothing for that step."""
        simulation, running, before, moves = self._simulation, self.running, self._state, actions.numpy()
        self._controls[...] = moves
        with logged_warnings():
            self._batch.step(None if running.all() else running.ravel(), nstep=simulation.frame_skip)
        self._steps += running
        self._read()
        lost = self._lost.any(-1)
        rewards = np.where(running & ~lost, simulation.reward(before, moves, self._state), 0.0)
        ends = running & (simulation.ended(self._state) | lost)
        cuts = running & (self._steps >= simulation.horizon)
        batch = Batch(observations, actions, _tensor(rewards), self._seen, _tensor(ends))
        self._finish(ends | cuts)
        return batch, _tensor(cuts)

    def close(self) -> None:
        """Nothing: the threads end with the last reference to this grid."""

    def _finish(self, done: NDArray[np.bool_]) -> None:
        """What is done starts again, or runs no more."""
        if not self._restart:
            self.running = self.running & ~done
        elif done.any():
            self._begin(done)

    def _begin(self, chosen: NDArray[np.bool_]) -> None:
        """New episodes [T, E] of the chosen, as `reset` of Gymnasium's environments begins them."""
        self._batch.reset(chosen.ravel(), stage=mujoco.mjtStage.mjSTAGE_NONE)
        for i in np.flatnonzero(chosen):
            self._batch.qpos[i], self._batch.qvel[i] = self._simulation.start(self._models[i], self._randoms[i])
        self._batch.forward(chosen.ravel())
        self._steps[chosen] = 0
        self._read()

    def _read(self) -> None:
        """The state and what is seen of it, as they are now."""
        self._state = {name: rows.copy() for name, rows in self._live.items()}
        self._seen = _tensor(self._simulation.observe(self._state))

    def _grid(self, rows: Array) -> Array:
        """A view of an array of all simulations: [T * E, ...] -> [T, E, ...]."""
        return rows.reshape(*self.running.shape, *rows.shape[1:])


def _tensor(array: NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(array.astype(np.float32))  # several times as fast as `torch.as_tensor` is
