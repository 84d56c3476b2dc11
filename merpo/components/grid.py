"""`EnvGrid`, the default grid of a task family: several environments per task, stepped one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, final

from merpo.components.gym_api import reset, step
from merpo.lazy import np, torch
from merpo.types import Batch, Task

if TYPE_CHECKING:
    from gymnasium import Env

__all__ = ["EnvGrid"]


@final
class EnvGrid:
    """T × E Gymnasium environments, stepped one after the other."""

    def __init__(
        self, make: Callable[[Task], Env[Any, Any]], tasks: Sequence[Task], episodes: int, seed: int, restart: bool
    ) -> None:
        self.envs = [[make(task) for _ in range(episodes)] for task in tasks]
        self.restart = restart
        self.current = np.stack([[reset(env, seed + e) for e, env in enumerate(row)] for row in self.envs])
        self.running = np.ones(self.current.shape[:2], dtype=bool)

    def observations(self) -> torch.Tensor:
        """The current observations [T, E, O]."""
        return torch.as_tensor(self.current, dtype=torch.float32)

    def step(self, observations: torch.Tensor, actions: torch.Tensor) -> tuple[Batch, torch.Tensor]:
        """One step of every running environment; see `merpo.Grid`."""
        acts = actions.numpy()
        shape = self.current.shape[:2]
        rewards, ends, cuts = (np.zeros(shape, dtype=np.float32) for _ in range(3))
        following = self.current.copy()
        for t, e in zip(*self.running.nonzero(), strict=True):
            following[t, e], rewards[t, e], ends[t, e], cuts[t, e] = step(self.envs[t][e], acts[t, e])
        self.current = following.copy()
        done = (ends > 0) | (cuts > 0)
        if self.restart:
            for t, e in zip(*done.nonzero(), strict=True):
                self.current[t, e] = reset(self.envs[t][e])
        else:
            self.running &= ~done
        arrays = observations, actions, rewards, following, ends
        return Batch(*(torch.as_tensor(x, dtype=torch.float32) for x in arrays)), torch.as_tensor(cuts)

    def close(self) -> None:
        """Close every environment."""
        for env in (env for row in self.envs for env in row):
            env.close()
