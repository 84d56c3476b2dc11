"""Simulated systems in NumPy: the base of the foreign families, all episodes of all tasks stepped together."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import gymnasium
import numpy as np
from pydantic import Field

from merpo import Batch, Grid, Spec, Task, TaskFamily
from merpo.lazy import torch

__all__ = ["Controller", "Gains", "Parameters", "Policy", "Simulated"]

Parameters = Mapping[str, np.ndarray]  # of one task: 0-dim arrays; of T tasks: [T, 1], to broadcast over episodes
Gains = Sequence[Any]  # of a controller: numbers, or arrays that broadcast as parameters do
Policy = Callable[[np.ndarray], np.ndarray]  # observations [..., O] -> actions [..., A], clipped where they are taken


class Controller(NamedTuple):
    """A scripted controller: its gains, and the standard deviation of the noise on its actions."""

    gains: tuple[float, ...]
    noise: float


class Simulated(TaskFamily):
    """A family of simulated systems that differ in the `ranges` of their parameters, which are not observed."""

    horizon: int = Field(100, ge=1, le=10_000, description="Steps per episode.")
    seed: int = Field(0, ge=0, lt=2**32, description="Seed of the tasks' parameters.")

    observation_dim: ClassVar[int]
    action_dim: ClassVar[int]
    start_dim: ClassVar[int]  # uniform numbers that determine a start
    noise_dim: ClassVar[int] = 0  # standard normal numbers per step
    terminates: ClassVar[bool] = False
    ranges: ClassVar[dict[str, tuple[float, float]]]
    known: ClassVar[tuple[str, ...]] = ()  # parameters that the controllers are told, though no observation has them
    controllers: ClassVar[dict[str, Controller]]  # poor, medium and good
    episodes: ClassVar[int] = 40  # per training task in the suite

    @abstractmethod
    def start(self, p: Parameters, uniform: np.ndarray) -> np.ndarray:
        """The initial states [..., S] from numbers in [0, 1), [..., K]."""

    @abstractmethod
    def observe(self, p: Parameters, state: np.ndarray) -> np.ndarray:
        """The observations [..., O] of states [..., S]."""

    @abstractmethod
    def advance(
        self, p: Parameters, state: np.ndarray, action: np.ndarray, noise: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The next states [..., S], rewards [...] and failures [...] of actions [..., A] in [-1, 1]."""

    @abstractmethod
    def control(self, p: Parameters, observation: np.ndarray, gains: Gains) -> np.ndarray:
        """The actions [..., A] of the scripted controller, before noise and clipping."""

    def spec(self) -> Spec:
        """The dims; no termination function, as for logs."""
        return Spec(self.observation_dim, self.action_dim)

    def tasks(self, train: int, test: int) -> tuple[list[Task], list[Task]]:
        """`train` + `test` draws of all parameters from their ranges; the last `test` are unseen."""
        random = np.random.default_rng(self.seed)
        drawn = [{k: float(random.uniform(low, high)) for k, (low, high) in self.ranges.items()} for _ in range(train)]
        random = np.random.default_rng([self.seed, 1])
        unseen = [{k: float(random.uniform(low, high)) for k, (low, high) in self.ranges.items()} for _ in range(test)]
        return drawn, unseen

    def make(self, task: Task) -> gymnasium.Env[Any, Any]:
        """The environment of one task."""
        return _Environment(self, task)

    def grid(self, tasks: Sequence[Task], episodes: int, seed: int, restart: bool) -> Grid:
        """All episodes stepped as arrays; restarting grids, which only collection by SAC needs, are the default."""
        return super().grid(tasks, episodes, seed, restart) if restart else _Grid(self, tasks, episodes, seed)

    def draws(self, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """The start's uniform numbers [K] and the normal numbers of every step [horizon, N]."""
        return random.random(self.start_dim), random.standard_normal((self.horizon, max(1, self.noise_dim)))


class _Environment(gymnasium.Env[np.ndarray, np.ndarray]):
    """One system."""

    def __init__(self, family: Simulated, task: Task) -> None:
        self.family = family
        self.parameters = {key: np.asarray(value, dtype=float) for key, value in task.items()}
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (family.observation_dim,), np.float32)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (family.action_dim,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        uniform, self.noise = self.family.draws(self.np_random)
        self.state, self.steps = self.family.start(self.parameters, uniform), 0
        return self._observation(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        action = np.clip(np.asarray(action, dtype=float), -1.0, 1.0)
        self.state, reward, failed = self.family.advance(self.parameters, self.state, action, self.noise[self.steps])
        self.steps += 1
        failed = bool(failed)
        return self._observation(), float(reward), failed, not failed and self.steps >= self.family.horizon, {}

    def _observation(self) -> np.ndarray:
        return self.family.observe(self.parameters, self.state).astype(np.float32)


class _Grid:
    """T × E systems stepped together; ended episodes keep their state."""

    def __init__(self, family: Simulated, tasks: Sequence[Task], episodes: int, seed: int) -> None:
        self.family, self.steps = family, 0
        self.parameters = {key: np.array([[float(task[key])] for task in tasks]) for key in family.ranges}
        draws = [family.draws(gymnasium.utils.seeding.np_random(seed + e)[0]) for e in range(episodes)]
        shape = (len(tasks), episodes)
        uniform = np.broadcast_to(np.stack([u for u, _ in draws]), (*shape, family.start_dim))
        self.noise = np.stack([n for _, n in draws], 1)  # [horizon, E, N]
        self.state = family.start(self.parameters, uniform)
        self.running = np.ones(shape, dtype=bool)

    def observations(self) -> torch.Tensor:
        """The current observations [T, E, O]."""
        return torch.as_tensor(self.family.observe(self.parameters, self.state), dtype=torch.float32)

    def step(self, observations: torch.Tensor, actions: torch.Tensor) -> tuple[Batch, torch.Tensor]:
        """One step of every running system; see `merpo.Grid`."""
        acts = np.clip(actions.numpy().astype(float), -1.0, 1.0)
        now = min(self.steps, len(self.noise) - 1)  # no system runs any longer after the last
        noise = np.broadcast_to(self.noise[now], (*self.running.shape, self.noise.shape[-1]))
        state, reward, failed = self.family.advance(self.parameters, self.state, acts, noise)
        self.steps += 1
        self.state = np.where(self.running[..., None], state, self.state)
        ended = self.running & failed
        cut = self.running & ~failed & (self.steps >= self.family.horizon)
        reward = np.where(self.running, reward, 0.0)
        self.running = self.running & ~ended & ~cut
        arrays = (torch.as_tensor(x.astype(np.float32)) for x in (reward, ended, cut))
        rewards, ends, cuts = arrays
        return Batch(observations, actions, rewards, self.observations(), ends), cuts

    def close(self) -> None:
        """Nothing is held."""
