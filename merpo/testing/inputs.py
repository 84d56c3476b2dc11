"""Small random inputs for the laws: each task's come from generators of its own, whichever tasks are beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from merpo.lazy import torch
from merpo.nn.noise import Streams, derive_seed
from merpo.nn.params import stack
from merpo.types import Batch, Params, Spec

__all__ = ["ROWS", "TASKS", "batch", "draw", "spec", "stacked", "streams"]

TASKS = (0, 1, 2)
ROWS = 6


def spec() -> Spec:
    """Three observations, two actions; an episode ends where the first observation exceeds 1."""
    return Spec(3, 2, lambda observations, actions, following: (following[..., 0] > 1.0).to(following.dtype))


def draw(label: str, tasks: Sequence[int], *shape: int) -> torch.Tensor:
    """Standard normal numbers [T, *shape], those of a task the same whichever tasks are beside it."""
    return streams(label, tasks).normal(*shape)


def streams(label: str, tasks: Sequence[int]) -> Streams:
    """Fresh generators, one per task."""
    return Streams.seeded(derive_seed(label, t) for t in tasks)


def stacked(label: str, tasks: Sequence[int], init: Callable[[torch.Generator], Params]) -> Params:
    """Parameters [T, ...] of which each task's are drawn from its own generator."""
    return stack([init(torch.Generator().manual_seed(derive_seed(label, t))) for t in tasks])


def batch(label: str, tasks: Sequence[int], *lead: int) -> Batch:
    """Transitions [T, *lead, ...], of which some terminate and some do not."""
    o, a = spec().observation_dim, spec().action_dim
    ends = (draw(f"{label}-d", tasks, *lead) > 0).float()
    ends[..., 0], ends[..., -1] = 1.0, 0.0
    return Batch(
        draw(f"{label}-s", tasks, *lead, o),
        draw(f"{label}-a", tasks, *lead, a).tanh(),
        draw(f"{label}-r", tasks, *lead),
        draw(f"{label}-s2", tasks, *lead, o),
        ends,
    )
