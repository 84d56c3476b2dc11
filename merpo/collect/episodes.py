"""Collection of offline data as in appendix A.2.2: episodes of the behaviour policies of a quality."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import NamedTuple

from merpo.collect.train import BehaviorPolicies, choose_policies
from merpo.components.context import Context
from merpo.components.interfaces import TaskFamily
from merpo.data.dataset import TaskDataset, concatenate_datasets
from merpo.lazy import torch
from merpo.nn.params import tree_map
from merpo.nn.policy import act
from merpo.recipe.sections import CollectSettings
from merpo.types import Batch, Params, Task

__all__ = ["Episodes", "collect_quality", "roll_out_policies"]


class Episodes(NamedTuple):
    """One task's data of one quality, and its behaviour policy if it is a single one."""

    data: TaskDataset
    policy: Params | None
    step: int  # environment steps of the policy's training; for mixed data those of the last policy


def collect_quality(
    family: TaskFamily,
    tasks: Sequence[Task],
    index: Sequence[int],
    trained: BehaviorPolicies,
    quality: str,
    episodes: int,
    settings: CollectSettings,
    context: Context,
) -> list[Episodes]:
    """`episodes` stochastic episodes of each task by the behaviour policies of `quality`.

    `index` has the position of each of `tasks` among those of `trained`.
    """
    picks = choose_policies(trained, quality, settings.medium_fraction)
    parts: list[list[TaskDataset]] = [[] for _ in tasks]
    rounds = len(picks[0])
    for k in range(rounds):
        before = episodes * k // rounds
        count = episodes * (k + 1) // rounds - before  # equal, with the remainder spread evenly
        if count == 0:
            continue
        chosen = [picks[i][k] for i in index]
        policies = tree_map(lambda leaf: leaf[chosen, list(index)], trained.policies)  # noqa: B023
        labelled = replace(context, labels=tuple(f"{quality}-{k}-{i}" for i in index))
        for part, data in zip(parts, roll_out_policies(family, tasks, policies, count, labelled, before), strict=True):
            part.append(data)
    single = rounds == 1
    return [
        Episodes(
            concatenate_datasets(part),
            tree_map(lambda leaf: leaf[picks[i][0], i], trained.policies) if single else None,  # noqa: B023
            trained.steps[picks[i][-1]],
        )
        for part, i in zip(parts, index, strict=True)
    ]


def roll_out_policies(
    family: TaskFamily, tasks: Sequence[Task], policies: Params, episodes: int, context: Context, before: int = 0
) -> list[TaskDataset]:
    """`episodes` stochastic episodes of each task's policy [T, ...] as one dataset per task.

    Their initial states differ from those of the `before` episodes collected earlier.
    """
    spec = family.spec()
    noise = context.streams("collect-episodes", len(tasks))
    steps: list[tuple[Batch, torch.Tensor, torch.Tensor]] = []
    with closing(family.grid(tasks, episodes, context.seed + before, restart=False)) as grid:
        while grid.running.any() and len(steps) < family.horizon:
            seen = grid.observations()
            with torch.no_grad():
                actions = act(policies, seen, noise.normal(episodes, spec.action_dim))
            alive = torch.as_tensor(grid.running.copy())
            batch, truncated = grid.step(seen, actions)
            steps.append((batch, truncated, alive))
    return [_one_dataset(t, steps, task) for t, task in enumerate(tasks)]


def _one_dataset(t: int, steps: list[tuple[Batch, torch.Tensor, torch.Tensor]], task: Task) -> TaskDataset:
    """One task's dataset, episode after episode, from the time-major steps of all tasks."""
    alive = torch.stack([a[t] for _, _, a in steps], 1)  # [E, H]
    fields = {key: torch.stack([getattr(b, key)[t] for b, _, _ in steps], 1)[alive] for key in Batch._fields}
    truncations = torch.stack([x[t] for _, x, _ in steps], 1)[alive]
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), alive.sum(1).cumsum(0)])
    return TaskDataset(**fields, truncations=truncations, episode_offsets=offsets, task=task, name=f"task {t}")
