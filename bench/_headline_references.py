"""What can be earned without adaptation: one clone of all tasks' data, and the best controller that is blind."""

from __future__ import annotations

from dataclasses import replace

import torch

from merpo import BehaviorSettings, Context, act, evaluate, expand, fit_behavior, stack_tasks
from merpo.data.dataset import concatenate_datasets
from merpo.data.needed import load_data
from merpo.evaluation.evaluate import starts
from merpo.recipe.recipe import Recipe
from merpo.types import Task

__all__ = ["blind_returns", "controlled", "pooled_clone_returns"]

GAINS = (0.5, 1.0, 2.0, 4.0, 8.0, 18.0)
ACROSS = [i / 5 - 1 for i in range(11)]  # places of g, which the semicircle and its inside have
UPWARDS = [i / 5 for i in range(6)]


def pooled_clone_returns(recipe: Recipe, seed: int, steps: int | None) -> list[float]:
    """Returns [task] on the unseen tasks of one clone of the training tasks' data, by its mode.

    It has the recipe's widths, and otherwise the default settings, with which it trains until held-out actions are
    predicted no better.
    """
    train, test = load_data(recipe, 2)
    family, own = recipe.tasks, recipe.method.behavior  # type: ignore[attr-defined]
    settings = BehaviorSettings(hidden=own.hidden, **({} if steps is None else {"steps": steps}))
    together = concatenate_datasets([replace(data, task={}) for data, _ in train])
    stacked = stack_tasks([together], family.spec(), seed, "cpu", recipe.data.largest_action)
    clone = fit_behavior(stacked, settings, Context(seed=seed), "pooled").policy
    policy = expand({key: value[0] for key, value in clone.items()}, len(test))
    tasks = [data.task for data, _ in test]
    found = evaluate(family, tasks, lambda s: act(policy, s), recipe.evaluate.episodes, starts(seed))
    return [float(value) for value in found.returns.mean(1)]


def blind_returns(recipe: Recipe) -> tuple[list[float], str]:
    """Returns [task] on the unseen tasks of clip(k (g − s)) with the g and k best on the training tasks, and these."""
    train, test = recipe.tasks.tasks(recipe.data.train_tasks, recipe.data.test_tasks)
    choices = [(x, y, k) for x in ACROSS for y in UPWARDS for k in GAINS]
    best = max(choices, key=lambda choice: sum(controlled(recipe, train, *choice)))
    return controlled(recipe, test, *best), f"g = ({best[0]:g}, {best[1]:g}), k = {best[2]:g}"


def controlled(recipe: Recipe, tasks: list[Task], x: float, y: float, gain: float) -> list[float]:
    """Returns [task] of clip(gain · ((x, y) − s))."""
    goal = torch.tensor([x, y])
    found = evaluate(recipe.tasks, tasks, lambda s: (gain * (goal - s)).clamp(-1, 1), recipe.evaluate.episodes, 0)
    return [float(value) for value in found.returns.mean(1)]
