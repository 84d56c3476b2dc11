"""Small made-up tasks whose data means something: a point that is pushed, and drifts in each task another way."""

from __future__ import annotations

from merpo.data.dataset import TaskDataset
from merpo.lazy import torch
from merpo.nn.noise import derive_seed
from merpo.types import Spec

__all__ = ["tiny_datasets", "tiny_spec"]

EPISODES, HORIZON = 6, 10


def tiny_spec() -> Spec:
    """Observations: the point's place (2) and its distance from the middle. Actions: the push (2)."""
    return Spec(observation_dim=3, action_dim=2)


def tiny_datasets(tasks: int) -> list[TaskDataset]:
    """`tasks` datasets of 60 transitions under random pushes; the reward is the negative distance from the middle."""
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
