"""Common types of all packages. Dims: T tasks, M members, C critics, B rows, O observation, A action."""

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
    "Units",
]

# Parameters of one or many networks, with leading dims `[task, member | critic, in, out]`. Keys that begin with `stat.`
# are statistics of the data (normalisation); they are saved and broadcast like the rest, but not trained.
Params: TypeAlias = "dict[str, torch.Tensor]"

# One task's parameters as plain JSON values, e.g. `{"wind": [0.01, -0.03]}`.
Task: TypeAlias = "dict[str, object]"

# (observations [..., O], actions [..., A], next observations [..., O]) -> 1.0 where the episode ends, else 0.0 [...].
Terminated: TypeAlias = "Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]"


class Spec(NamedTuple):
    """The properties common to all tasks of a family. Actions are always in [-1, 1]."""

    observation_dim: int
    action_dim: int
    terminated: Terminated | None = None
    normalization: Normalization | None = None  # applied to the observations; None: they are the environment's
    units: Units | None = None  # of actions and values, for networks; None: not standardised
    has_terminations: bool = False  # whether the tasks' data has any


class Units(NamedTuple):
    """Scales and ranges of the training data, with which networks standardise and model predictions are clipped."""

    action_mean: torch.Tensor  # [A]
    action_std: torch.Tensor  # [A], at least 0.1
    value_mean: torch.Tensor  # [], of the data's discounted returns, in scaled rewards
    value_std: torch.Tensor  # []
    observation_low: torch.Tensor  # [O], least value in the data, less a tenth of the range
    observation_high: torch.Tensor  # [O]
    reward_low: torch.Tensor  # [], in the data's own units
    reward_high: torch.Tensor  # []


class Batch(NamedTuple):
    """Independent transitions. `terminations` is 1.0 at terminal states; time-outs are 0.0 and bootstrap."""

    observations: torch.Tensor  # [*lead, B, O]
    actions: torch.Tensor  # [*lead, B, A]
    rewards: torch.Tensor  # [*lead, B]
    next_observations: torch.Tensor  # [*lead, B, O]
    terminations: torch.Tensor  # [*lead, B]


class Probes(NamedTuple):
    """State-action pairs at which Eq. (1) pushes Q down, P per task."""

    observations: torch.Tensor  # [T, P, O]
    actions: torch.Tensor  # [T, P, A]
    log_densities: torch.Tensor  # [T, P], of the distribution from which each action was drawn


class Propose(Protocol):
    """A function that draws actions from the current policy."""

    def __call__(self, observations: torch.Tensor, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        """`n` actions per row: observations [T, B, O] -> actions [T, n, B, A] and log-densities [T, n, B]."""
        ...

    def at_rho(self, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        """`n` actions per state of ρ and their log-densities; the policy there is already computed."""
        ...


class Grid(Protocol):
    """E environments of each of T tasks, stepped together: ended episodes restart (training), or stay ended."""

    @property
    def running(self) -> np.ndarray:
        """Mask [T, E] of environments within an episode; all of them if ended episodes restart."""
        ...

    def observations(self) -> torch.Tensor:
        """The current observations [T, E, O]."""
        ...

    def step(self, observations: torch.Tensor, actions: torch.Tensor) -> tuple[Batch, torch.Tensor]:
        """The transitions [T, E, ...] by `actions` [T, E, A] at `observations`, and the truncations [T, E].

        Ended environments keep their state, with reward, termination and truncation 0.
        """
        ...

    def close(self) -> None:
        """Release all resources."""
        ...


Metrics: TypeAlias = "Mapping[str, torch.Tensor | float]"

SMALLEST_STD = 1e-30  # against division by zero in files of others


class Normalization(NamedTuple):
    """Normalisation of observations, x = (s − mean) / std: methods use x, environments give s."""

    mean: torch.Tensor  # [O], or [T, O] where tasks have their own
    std: torch.Tensor

    def apply(self, observations: torch.Tensor) -> torch.Tensor:
        """Normalised observations [..., O], or [T, B, O] where tasks have their own."""
        mean, scale = self._columns()
        return (observations - mean) / scale

    def undo(self, observations: torch.Tensor) -> torch.Tensor:
        """The inverse of `apply`, up to rounding."""
        mean, scale = self._columns()
        return observations * scale + mean

    def to(self, device: torch.device | str) -> Normalization:
        """The same numbers on a device."""
        return Normalization(self.mean.to(device), self.std.to(device))

    @property
    def scale(self) -> torch.Tensor:
        """The divisor: `std`, at least 1e-30."""
        return self.std.clamp(min=SMALLEST_STD)

    def _columns(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and scale in shapes that broadcast over rows."""
        if self.mean.dim() == 1:
            return self.mean, self.scale
        return self.mean.unsqueeze(-2), self.scale.unsqueeze(-2)
