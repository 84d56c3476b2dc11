"""The few types that every file shares. Dims: T tasks, M members, C critics, B rows, O observation, A action."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import torch

__all__ = [
    "SMALLEST_STD",
    "Batch",
    "Grid",
    "Metrics",
    "Normalization",
    "Params",
    "Probes",
    "Propose",
    "Spec",
    "Task",
    "Terminated",
]

# Parameters of one or many networks: leading dims say whose, `[task, member | critic, in, out]`. Keys that begin with
# `stat.` are statistics of the data (normalisation); they are saved and broadcast like the rest, never trained.
Params: TypeAlias = "dict[str, torch.Tensor]"

# One task's parameters as plain JSON values, e.g. `{"wind": [0.01, -0.03]}`.
Task: TypeAlias = "dict[str, object]"

# (observations [..., O], actions [..., A], next observations [..., O]) -> 1.0 where the episode ends, else 0.0 [...].
Terminated: TypeAlias = "Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]"


class Spec(NamedTuple):
    """What all tasks of a family share. Actions are always in [-1, 1]."""

    observation_dim: int
    action_dim: int
    terminated: Terminated | None = None
    normalization: Normalization | None = None  # what observations went through; None: they are the environment's


class Batch(NamedTuple):
    """Independent transitions. `terminations` is 1.0 where the episode truly ended; time-outs are 0.0 and bootstrap."""

    observations: torch.Tensor  # [*lead, B, O]
    actions: torch.Tensor  # [*lead, B, A]
    rewards: torch.Tensor  # [*lead, B]
    next_observations: torch.Tensor  # [*lead, B, O]
    terminations: torch.Tensor  # [*lead, B]


class Probes(NamedTuple):
    """Where Eq. (1) pushes Q down: P state-action pairs per task."""

    observations: torch.Tensor  # [T, P, O]
    actions: torch.Tensor  # [T, P, A]
    log_densities: torch.Tensor  # [T, P], of the distribution from which each action was drawn


class Propose(Protocol):
    """Draws actions from the current policy."""

    def __call__(self, observations: torch.Tensor, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        """`n` actions per row: observations [T, B, O] -> actions [T, n, B, A] and log-densities [T, n, B]."""
        ...

    def at_rho(self, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The same at the states of ρ, where the policy has been computed already."""
        ...


class Grid(Protocol):
    """E environments of each of T tasks, stepped together: ended ones start again (training), or stay ended."""

    @property
    def running(self) -> np.ndarray:
        """Which are in an episode [T, E]; all of them where they start again."""
        ...

    def observations(self) -> torch.Tensor:
        """What is seen now [T, E, O]."""
        ...

    def step(self, seen: torch.Tensor, actions: torch.Tensor) -> tuple[Batch, torch.Tensor]:
        """`actions` [T, E, A] at what was `seen`: the transitions [T, E, ...] and which were cut by time [T, E].

        Those that stay ended do not move, get no reward, and neither end nor are cut again.
        """
        ...

    def close(self) -> None:
        """Let go of everything that was opened."""
        ...


Metrics: TypeAlias = "Mapping[str, torch.Tensor | float]"

SMALLEST_STD = 1e-6


class Normalization(NamedTuple):
    """x = (s − mean) / std for every observation s; the inside of a method sees x, environments give s."""

    mean: torch.Tensor  # [O], or [T, O] where tasks have their own
    std: torch.Tensor

    def apply(self, observations: torch.Tensor) -> torch.Tensor:
        """Normalised observations [..., O], or [T, B, O] where tasks have their own."""
        mean, scale = self._columns()
        return (observations - mean) / scale

    def undo(self, observations: torch.Tensor) -> torch.Tensor:
        """The inverse of `apply`, but for rounding."""
        mean, scale = self._columns()
        return observations * scale + mean

    def to(self, device: torch.device | str) -> Normalization:
        """The same numbers on a device."""
        return Normalization(self.mean.to(device), self.std.to(device))

    @property
    def scale(self) -> torch.Tensor:
        """What is divided by: `std`, but never 0."""
        return self.std.clamp(min=SMALLEST_STD)

    def _columns(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and scale in shapes that broadcast over rows."""
        if self.mean.dim() == 1:
            return self.mean, self.scale
        return self.mean.unsqueeze(-2), self.scale.unsqueeze(-2)
