"""Inputs and datasets for conformance tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from merpo.data.dataset import TaskDataset
from merpo.lazy import torch
from merpo.nn.noise import Streams, derive_seed
from merpo.nn.params import stack
from merpo.types import Batch, Params, Spec

__all__ = ["ROWS", "TASKS", "batch", "draw", "spec", "stacked", "streams", "tiny_datasets", "tiny_spec"]

TASKS = (0, 1, 2)
ROWS = 6


def spec() -> Spec:
    """A spec of 3 observation and 2 action dims; an episode terminates where the first observation exceeds 1."""
    return Spec(3, 2, lambda observations, actions, following: (following[..., 0] > 1.0).to(following.dtype))


def draw(label: str, tasks: Sequence[int], *shape: int) -> torch.Tensor:
    """Standard normal numbers [T, *shape]; a task's numbers do not depend on the other tasks."""
    return streams(label, tasks).normal(*shape)


def streams(label: str, tasks: Sequence[int]) -> Streams:
    """New random streams, a generator per task."""
    return Streams.seeded(derive_seed(label, t) for t in tasks)


def stacked(label: str, tasks: Sequence[int], init: Callable[[torch.Generator], Params]) -> Params:
    """Parameters [T, ...], initialised with a generator per task."""
    return stack([init(torch.Generator().manual_seed(derive_seed(label, t))) for t in tasks])


def batch(label: str, tasks: Sequence[int], *lead: int) -> Batch:
    """Random transitions [T, *lead, ...], with and without terminations."""
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


EPISODES, HORIZON = 6, 10


def tiny_spec() -> Spec:
    """The spec of `tiny_datasets`: observations are position (2) and distance from the origin, actions pushes (2)."""
    return Spec(observation_dim=3, action_dim=2)


def tiny_datasets(tasks: int) -> list[TaskDataset]:
    """`tasks` datasets of 60 transitions with random actions; the reward is the negative distance from the origin."""
    return [_dataset(task) for task in range(tasks)]


def _dataset(task: int) -> TaskDataset:
    generator = torch.Generator().manual_seed(derive_seed("tiny", task))
    drift = 0.1 * torch.randn(2, generator=generator)
    place = torch.randn(EPISODES, 2, generator=generator)
    actions = torch.rand(HORIZON, EPISODES, 2, generator=generator) * 2 - 1
    places = [place]
    for push in actions:
        places.append(places[-1] + 0.3 * push + drift)
    path = torch.stack(places, 1)  # [episode, step, 2]
    seen = torch.cat([path, path.norm(dim=-1, keepdim=True)], -1)
    cut = torch.zeros(EPISODES, HORIZON)
    cut[:, -1] = 1.0
    return TaskDataset(
        observations=seen[:, :-1].flatten(0, 1),
        actions=actions.transpose(0, 1).flatten(0, 1),
        rewards=-seen[:, 1:, 2].flatten(),
        next_observations=seen[:, 1:].flatten(0, 1),
        terminations=torch.zeros(EPISODES * HORIZON),
        truncations=cut.flatten(),
        episode_offsets=torch.arange(0, EPISODES * HORIZON + 1, HORIZON),
        task={"drift": drift.tolist()},
        name=f"tiny-{task}",
    )
