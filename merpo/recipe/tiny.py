"""The smallest recipe that runs every stage: two training tasks, two unseen tasks, networks of eight units."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from merpo.recipe.extends import merge

__all__ = ["TINY", "tiny_tables"]

WIDTH = [8, 8]
TINY: dict[str, Any] = {
    "title": "Tiny",
    "tasks": {"component": "point-robot-wind", "horizon": 10},
    "data": {"train_tasks": 2, "test_tasks": 2, "episodes": 4, "normalize_observations": False},
    "collect": {"steps": 60, "seed_steps": 20, "checkpoint_every": 20, "batch_size": 8, "hidden": WIDTH},
    "method": {
        "component": "merpo",
        "dynamics": {"component": "ensemble", "members": 3, "elites": 2, "hidden": WIDTH},
        "critic": {"component": "conservative", "hidden": WIDTH},
        "meta_model": {"iterations": 2, "task_batch": 2, "inner_steps": 2, "batch_size": 16, "adaptation_steps": 3},
        "behavior": {"hidden": WIDTH, "steps": 3, "batch_size": 16},
        "rac": {"policy_hidden": WIDTH, "batch_size": 16, "rollout_batch": 8, "model_buffer": 64},
        "meta_policy": {"iterations": 2, "task_batch": 2, "inner_steps": 2},
        "adaptation": {"steps": 3, "candidates": 0},
    },
    "evaluate": {"episodes": 1, "during_training": 0, "snapshots": [0, 2, 3], "videos": 0},
    "run": {"tensorboard": False, "device": "cpu"},
}


def tiny_tables(changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The tiny recipe's tables with `changes` merged over them as by `extends`."""
    return merge(copy.deepcopy(TINY), changes or {})
