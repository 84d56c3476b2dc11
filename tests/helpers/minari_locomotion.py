"""Datasets in the layout of Minari's `mujoco/…`, written by Minari from Gymnasium's environments."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import minari
    from minari.data_collector.episode_buffer import EpisodeBuffer

__all__ = ["ENVIRONMENTS", "write_locomotion"]

ENVIRONMENTS = {"halfcheetah": "HalfCheetah-v5", "hopper": "Hopper-v5", "walker2d": "Walker2d-v5"}


def write_locomotion(body: str, quality: str = "medium", episodes: int = 3, steps: int = 30, **more: Any) -> Path:
    """Write `mujoco/BODY/QUALITY-v0` with random actions, episodes truncated after `steps`; returns its folder."""
    env: Any = gymnasium.make(ENVIRONMENTS[body], max_episode_steps=steps)
    random = np.random.default_rng(0)
    buffers = []
    for e in range(episodes):
        seen, info = env.reset(seed=e)
        rows: dict[str, list[Any]] = {key: [] for key in ("actions", "rewards", "terminations", "truncations")}
        observations, places, done = [seen], [info["x_position"]], False
        while not done:
            action = random.uniform(-1, 1, env.action_space.shape).astype(np.float32)
            seen, reward, terminated, truncated, info = env.step(action)
            for key, value in zip(rows, (action, float(reward), terminated, truncated), strict=True):
                rows[key].append(value)
            observations.append(seen)
            places.append(info["x_position"])
            done = terminated or truncated
        actions = np.stack(rows.pop("actions"))
        infos = {"x_position": np.asarray(places)}
        buffers.append(
            EpisodeBuffer(id=e, seed=e, observations=np.stack(observations), actions=actions, infos=infos, **rows)
        )
    name = f"mujoco/{body}/{quality}-v0"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        minari.create_dataset_from_buffers(
            name, buffers, env=gymnasium.make(ENVIRONMENTS[body]), algorithm_name="random", data_format="hdf5", **more
        )
    return Path(minari.storage.get_dataset_path(name)) / "data"
