"""Search for the best controller by the cross-entropy method: scripted gains, a linear policy, and their sum.

Several groups of tasks are searched at once, each for a controller of its own: all training tasks as one group for the
best controller that does not know its task, every unseen task as a group for the best one that is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from merpo_foreign.logs import episode_returns, parameters_of
from merpo_foreign.simulated import Parameters, Policy, Simulated

from merpo import Task
from merpo.data.dataset import TaskDataset

__all__ = ["Best", "Budget", "Class", "search"]

ELITES = 0.15  # share of the candidates


class Budget(NamedTuple):
    """The size of a search."""

    candidates: int
    generations: int
    episodes: int  # per candidate, task and generation
    validation: int  # episodes per task that decide between classes


class Class(NamedTuple):
    """A class of controllers: which of the two parts are searched, and whether the `known` parameters are told."""

    scripted: bool
    linear: bool
    told: bool


class Scale(NamedTuple):
    """Mean and standard deviation of observations [O]."""

    mean: np.ndarray
    std: np.ndarray


class Best(NamedTuple):
    """The controllers of all groups: `vectors` [G, D], and their mean returns on the validation episodes [G]."""

    kind: Class
    vectors: np.ndarray
    validated: np.ndarray
    scale: Scale

    def policy(self, family: Simulated, parameters: Parameters, groups: Sequence[int]) -> Policy:
        """The policy on tasks [T] of the given groups."""
        return _policy(family, self.kind, self.vectors[list(groups)], parameters, self.scale)


def search(
    family: Simulated,
    kind: Class,
    groups: Sequence[Sequence[Task]],
    data: Sequence[TaskDataset],
    budget: Budget,
    seed: int,
) -> Best:
    """The best controller of a class for each group of tasks; `data` determine the scale of the observations."""
    random = np.random.default_rng([seed, 3])
    rows = np.concatenate([each.observations.numpy() for each in data]).astype(float)
    scale = Scale(rows.mean(0), rows.std(0) + 1e-12)
    first, spread = _start(family, kind)
    mean, std = (np.tile(each, (len(groups), 1)) for each in (first, spread))
    best, known = mean.copy(), np.full(len(groups), -np.inf)
    for generation in range(budget.generations):
        drawn = mean[:, None] + std[:, None] * random.standard_normal((len(groups), budget.candidates, len(first)))
        drawn[:, 0], drawn[:, 1] = mean, best  # also on this generation's episodes
        scores = _scores(family, kind, groups, drawn, scale, budget.episodes, 10_000 + 1000 * generation)
        order = np.argsort(-scores, 1)[:, : max(2, round(ELITES * budget.candidates))]
        elites = np.take_along_axis(drawn, order[..., None], 1)
        best = elites[:, 0]
        mean = 0.2 * mean + 0.8 * elites.mean(1)
        std = 0.2 * std + 0.8 * elites.std(1) + 0.02 * spread * (1.0 - generation / budget.generations)
    finalists = np.stack([mean, best, np.tile(first, (len(groups), 1))], 1)
    scores = _scores(family, kind, groups, finalists, scale, budget.validation, 7_000_000)
    chosen = scores.argmax(1)
    known = np.take_along_axis(scores, chosen[:, None], 1)[:, 0]
    return Best(kind, np.take_along_axis(finalists, chosen[:, None, None], 1)[:, 0], known, scale)


def _start(family: Simulated, kind: Class) -> tuple[np.ndarray, np.ndarray]:
    """The first mean and standard deviations [D]."""
    parts = []
    if kind.scripted:
        gains = np.array(family.controllers["good"].gains)
        parts.append((gains, 0.3 * np.abs(gains) + 0.05 * (1.0 + np.abs(gains).max() * (gains == 0))))
        if not kind.told:
            ends = np.array([family.ranges[key] for key in family.known]).reshape(-1, 2)
            parts.append((ends.mean(1), 0.25 * (ends[:, 1] - ends[:, 0])))
    if kind.linear:
        size = family.action_dim * (family.observation_dim + 1)
        parts.append((np.zeros(size), np.full(size, 0.1 if kind.scripted else 0.7)))
    mean, std = (np.concatenate(each) for each in zip(*parts, strict=True))
    return mean, std


def _scores(
    family: Simulated,
    kind: Class,
    groups: Sequence[Sequence[Task]],
    drawn: np.ndarray,
    scale: Scale,
    episodes: int,
    seed: int,
) -> np.ndarray:
    """Mean returns [G, C] of candidates [G, C, D]."""
    count = drawn.shape[1]
    tasks = [task for group in groups for _ in range(count) for task in group]
    vectors = np.concatenate([np.repeat(own, len(group), 0) for own, group in zip(drawn, groups, strict=True)])
    parameters = parameters_of(family, tasks)
    policy = _policy(family, kind, vectors, parameters, scale)
    means = episode_returns(family, parameters, policy, episodes, seed).mean(1)
    ends = np.cumsum([count * len(group) for group in groups])[:-1]
    return np.stack([part.reshape(count, -1).mean(1) for part in np.split(means, ends)])


def _policy(family: Simulated, kind: Class, vectors: np.ndarray, parameters: Parameters, scale: Scale) -> Policy:
    """The policy of vectors [T, D] on observations [T, E, O]."""
    count = len(family.controllers["good"].gains)
    gains = [vectors[:, i, None] for i in range(count)] if kind.scripted else []
    rest = vectors[:, count:] if kind.scripted else vectors
    believed = dict(parameters)
    if kind.scripted and not kind.told:
        believed |= {key: rest[:, i, None] for i, key in enumerate(family.known)}
        rest = rest[:, len(family.known) :]
    weights = rest.reshape(len(vectors), family.action_dim, family.observation_dim + 1) if kind.linear else None

    def act(observations: np.ndarray) -> np.ndarray:
        action = family.control(believed, observations, gains) if kind.scripted else 0.0
        if weights is not None:
            inputs = (observations - scale.mean) / scale.std
            action = action + inputs @ weights[:, :, :-1].transpose(0, 2, 1) + weights[:, None, :, -1]
        return action

    return act
