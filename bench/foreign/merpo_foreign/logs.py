"""Logs of the foreign families: episodes of a scripted controller with noise, as arrays."""

from __future__ import annotations

from collections.abc import Sequence

import gymnasium
import numpy as np

from merpo import Task, from_arrays
from merpo.data.dataset import TaskDataset
from merpo_foreign.simulated import Controller, Gains, Parameters, Policy, Simulated

__all__ = ["episode_returns", "log", "parameters_of", "scripted"]


def parameters_of(family: Simulated, tasks: Sequence[Task]) -> dict[str, np.ndarray]:
    """The parameters [T, 1] of several tasks, to broadcast over episodes."""
    return {key: np.array([[float(task[key])] for task in tasks]) for key in family.ranges}  # type: ignore[arg-type]


def scripted(family: Simulated, parameters: Parameters, gains: Gains) -> Policy:
    """The scripted controller with `gains`, which is told the `known` parameters of each task."""
    return lambda observations: family.control(parameters, observations, gains)


def log(
    family: Simulated, task: Task, controller: Controller, episodes: int, seed: Sequence[int], name: str
) -> TaskDataset:
    """`episodes` episodes of one task under `controller`."""
    random = np.random.default_rng(seed)
    draws = [family.draws(random) for _ in range(episodes)]
    noise = np.stack([each for _, each in draws], 1)  # [horizon, E, N]
    disturbed = controller.noise * random.standard_normal((family.horizon, episodes, family.action_dim))
    parameters = {key: value[0] for key, value in parameters_of(family, [task]).items()}
    state = family.start(parameters, np.stack([each for each, _ in draws]))
    columns: list[list[np.ndarray]] = [[] for _ in range(6)]
    running = np.ones(episodes, dtype=bool)
    for step in range(family.horizon):
        observation = family.observe(parameters, state)
        action = family.control(parameters, observation, controller.gains)
        action = np.clip(action + disturbed[step], -1.0, 1.0)
        state, reward, failed = family.advance(parameters, state, action, noise[step])
        rows = (observation, action, reward, family.observe(parameters, state), failed, running)
        for column, value in zip(columns, rows, strict=True):
            column.append(value)
        running = running & ~failed
    *arrays, kept = (np.stack(column, 1) for column in columns)  # [E, horizon, ...]
    observations, actions, rewards, following, ends = (array[kept] for array in arrays)
    labels = np.broadcast_to(np.arange(episodes)[:, None], kept.shape)[kept]
    return from_arrays(observations, actions, rewards, following, ends, episodes=labels, task=task, name=name)


def episode_returns(
    family: Simulated, parameters: Parameters, policy: Policy, episodes: int, seed: int, noise: float = 0.0
) -> np.ndarray:
    """Returns [T, E] of a policy on observations [T, E, O], on the episodes of `family.grid` with `seed`."""
    draws = [family.draws(gymnasium.utils.seeding.np_random(seed + e)[0]) for e in range(episodes)]
    shape = (len(next(iter(parameters.values()))), episodes)
    random = np.random.default_rng(seed)
    disturbances = np.stack([each for _, each in draws], 1)  # [horizon, E, N]
    state = family.start(parameters, np.broadcast_to(np.stack([u for u, _ in draws]), (*shape, family.start_dim)))
    total, running = np.zeros(shape), np.ones(shape, dtype=bool)
    for disturbance in disturbances:
        action = policy(family.observe(parameters, state))
        if noise:
            action = action + noise * random.standard_normal(action.shape)
        spread = np.broadcast_to(disturbance, (*shape, disturbance.shape[-1]))
        state, reward, failed = family.advance(parameters, state, np.clip(action, -1.0, 1.0), spread)
        total += np.where(running, reward, 0.0)
        running = running & ~failed
    return total
