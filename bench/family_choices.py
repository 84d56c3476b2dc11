"""Effect of two choices on returns of seeded random actions: stale constants (walker), contact forces (ant).

Each pair has the same tasks, seeds and actions; differences are paired, with 95 % intervals for new episodes
by Student's t.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from _options import options, parse
from _results import write_results

from merpo.support.statistics.estimate import student
from merpo_tasks import AntFwdBack, Walker2DParams

SCALE = 0.3  # standard deviation of the actions, small enough for bodies to stay upright for a while


def main() -> None:
    """Run the episodes, print a table and write the results."""
    made = options(__doc__, __file__)
    made.add_argument("--episodes", type=int, default=20, help="of each task")
    arguments = parse(made, episodes=2)
    torch.set_num_threads(1)
    n = arguments.episodes
    found = {
        "walker-2d-params: stale - recomputed": _difference(
            Walker2DParams(derived="stale"), Walker2DParams(derived="recomputed"), 20, n
        ),
        "ant-fwd-back: zero - counted": _difference(AntFwdBack(contact="zero"), AntFwdBack(contact="counted"), 2, n),
    }
    for name, row in found.items():
        print(name, row)
    write_results(arguments.script, {arguments.out / "family_choices.json": found})


def _difference(one: Any, other: Any, tasks: int, episodes: int) -> dict[str, Any]:
    first, second = (_returns(family, tasks, episodes) for family in (one, other))
    gaps = (first - second).ravel()
    found = student(gaps, ("episodes",))
    return {
        "first": float(first.mean()), "second": float(second.mean()), "difference": found.mean, "low": found.low,
        "high": found.high, "covers": found.covers, "mean_size": float(np.abs(gaps).mean()), "episodes": len(gaps),
    }  # fmt: skip


def _returns(family: Any, tasks: int, episodes: int) -> np.ndarray:
    grid, width = family.grid(family.tasks(tasks, 0)[0], episodes, 0, restart=False), family.spec().action_dim
    random, total = np.random.default_rng(0), np.zeros((tasks, episodes))
    while grid.running.any():
        actions = (SCALE * random.normal(size=(tasks, episodes, width))).clip(-1, 1).astype(np.float32)
        batch, _ = grid.step(grid.observations(), torch.from_numpy(actions))
        total += batch.rewards.double().numpy()
    return total


if __name__ == "__main__":
    main()
