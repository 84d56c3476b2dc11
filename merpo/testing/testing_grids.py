"""The laws of a task family that steps many environments at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from merpo.components.grid import EnvGrid
from merpo.components.interfaces import TaskFamily
from merpo.lazy import torch
from merpo.testing.inputs import draw
from merpo.testing.laws import ATOL, RTOL, require
from merpo.types import Grid, Task

__all__ = ["check_grid"]

EPISODES = 2
COMPARED = 10  # steps; numbers that round otherwise are far apart after many, as motion with contacts is chaotic


class _Path(NamedTuple):
    """What a grid gave, step after step."""

    observations: torch.Tensor  # [T, H, E, O]
    rewards: torch.Tensor  # [T, H, E]
    following: torch.Tensor  # [T, H, E, O]
    terminations: torch.Tensor  # [T, H, E]
    truncations: torch.Tensor  # [T, H, E]
    running: torch.Tensor  # [T, H, E], before the step


def check_grid(family: TaskFamily, tasks: Sequence[Task]) -> None:
    """A grid gives what the environments of `make` give, to each task as to it alone, and nothing after an end."""
    if type(family).grid is TaskFamily.grid:
        return
    place = f"{type(family).__name__}.grid"
    for restart in (False, True):
        found = _play(family, family.grid(tasks, EPISODES, 0, restart))
        plain = _play(family, EnvGrid(family.make, tasks, EPISODES, 0, restart))
        alone = _play(family, family.grid(tasks[:1], EPISODES, 0, restart))
        _require_same(found, plain, place, f"differs from the environments of make, restart = {restart}")
        _require_same(_Path(*(x[:1] for x in found)), alone, place, "together is not alone")
        running = found.running.bool()
        if restart:
            require(bool(running.all()), place, "has environments that do not start again")
            continue
        require(not bool(running[:, family.horizon].any()), place, f"goes on after {family.horizon} steps")
        ended = torch.stack([found.rewards, found.terminations, found.truncations])[:, ~running]
        still = torch.equal(found.following[~running], found.observations[~running])
        require(still and not bool(ended.any()), place, "moves or pays environments that have ended")


def _play(family: TaskFamily, grid: Grid) -> _Path:
    """Seeded random actions for one step more than the horizon."""
    steps, width = [], family.spec().action_dim
    for step in range(family.horizon + 1):
        seen, running = grid.observations(), torch.as_tensor(grid.running.copy())
        actions = draw(f"grid-{step}", range(len(seen)), EPISODES, width).tanh()
        batch, truncated = grid.step(seen, actions)
        steps.append((seen, batch.rewards, batch.next_observations, batch.terminations, truncated, running))
    grid.close()
    return _Path(*(torch.stack(parts, 1) for parts in zip(*steps, strict=True)))


def _require_same(one: _Path, two: _Path, place: str, law: str) -> None:
    for field, x, y in zip(_Path._fields, one, two, strict=True):
        first, second = x[:, :COMPARED].double(), y[:, :COMPARED].double()
        same = first.shape == second.shape and torch.allclose(first, second, rtol=RTOL, atol=ATOL)
        require(same, place, f"{law}: {field}")
