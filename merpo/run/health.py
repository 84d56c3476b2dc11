"""The figures of a run's health, from its data, its adaptation and its evaluations."""

from __future__ import annotations

from collections.abc import Sequence

from merpo.components.context import Adapted
from merpo.data.coverage import column_names, coverage
from merpo.data.dataset import TaskDataset
from merpo.data.manifest import Manifest
from merpo.recipe.recipe import Recipe
from merpo.report.health import Check, Figures, judge
from merpo.report.report import TaskReport

__all__ = ["health"]

Loaded = Sequence[tuple[TaskDataset, Manifest]]


def health(recipe: Recipe, train: Loaded, test: Loaded, adapted: Adapted, tasks: Sequence[TaskReport]) -> list[Check]:
    """The checks of one run; those for which a method gives no figures are left out."""
    manifest = test[0][1]
    dims = manifest.observation_dim, manifest.action_dim
    learnt = train if recipe.method.learns_from_tasks else ()
    keys = dict.fromkeys(key for task in tasks for key in task.returns)
    figures = Figures(
        tasks=[task.index for task in tasks],
        columns=column_names(manifest.settings, *dims),
        observations=dims[0],
        coverage=coverage([data for data, _ in learnt], [data for data, _ in test]),
        scores={key: value.double().tolist() for key, value in adapted.scores.items()},
        returns={key: [t.returns[key] for t in tasks] for key in keys if all(key in t.returns for t in tasks)},
        has_environment=recipe.tasks.has_environment,
        stochastic=recipe.evaluate.policy == "stochastic",
    )
    return judge(figures)
