"""Where a task's model is not to be trusted: rollouts end there, with a low value (MOReL, Kidambi et al., 2020)."""

from __future__ import annotations

from merpo.algorithm.units import returns_to_go
from merpo.components.interfaces import DynamicsLearner
from merpo.components.task_data import TaskData
from merpo.lazy import torch
from merpo.types import Params

__all__ = ["THRESHOLD", "VALUE", "halted", "with_halting"]

THRESHOLD, VALUE = "stat.halt_threshold", "stat.halt_value"  # keys in a task's model, [T, 1] each
KNOWN = 0.99  # quantile of the elites' disagreement on the task's own rows, above which a prediction is not trusted
ROWS = 4000  # of each task, at most


def with_halting(dynamics: DynamicsLearner, models: Params, data: TaskData, discount: float) -> Params:
    """The models with each task's threshold of disagreement, and the value of a state beyond it, where there are such.

    The value is the lowest discounted return in the task's data, in the data's units of reward. It needs the order of
    the rows in time.
    """
    if data.episodes is None:
        return models
    thresholds, values = [], []
    for task in range(data.n_tasks):
        rows, offsets = data.in_order(task)
        own = {key: value[task : task + 1] for key, value in models.items()}
        some = slice(0, ROWS)
        with torch.no_grad():
            found = dynamics.disagreement(own, rows.observations[None, some], rows.actions[None, some])
        if found is None:
            return models
        thresholds.append(found[0].quantile(KNOWN))
        values.append(returns_to_go(rows.rewards, rows.terminations, offsets, discount).amin())
    return {**models, THRESHOLD: torch.stack(thresholds)[:, None], VALUE: torch.stack(values)[:, None]}


def halted(
    dynamics: DynamicsLearner, models: Params, observations: torch.Tensor, actions: torch.Tensor
) -> torch.Tensor | None:
    """The mask [T, B] of rows at which the elites disagree more than on the task's data; None without a threshold."""
    if THRESHOLD not in models:
        return None
    found = dynamics.disagreement(models, observations, actions)
    return None if found is None else found > models[THRESHOLD]
