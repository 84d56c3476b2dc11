"""`merpo check RECIPE --data`: whether a recipe's data is there, fits, and is enough, before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from merpo.data.coverage import column_names, coverage
from merpo.data.dataset import TaskDataset
from merpo.data.manifest import Manifest
from merpo.data.named import missing_minari
from merpo.data.needed import collection_folder, load_data, needed
from merpo.data.places import manifest_path
from merpo.recipe.recipe import Recipe
from merpo.report.health import Figures, judge
from merpo.report.text import check_line
from merpo.run.notes import notes_on_data, notes_on_origin, notes_on_recipe

__all__ = ["data_lines"]


def data_lines(recipe: Recipe) -> list[str]:
    """What is known of the data that `recipe` needs, a line each.

    Data that a run would fetch or collect first is only counted. Raises `DatasetError` for a dataset that is missing
    by name, damaged, of other dims than the tasks, or smaller than a batch.
    """
    if absent := _absent(recipe):
        return [absent, *(f"note: {text}" for text in notes_on_recipe(recipe))]
    train, test = load_data(recipe, recipe.method.min_transitions)
    return list(_found(recipe, train, test))


def _absent(recipe: Recipe) -> str:
    """What a run would get before anything else; empty if everything is in the store."""
    if recipe.data.named:
        lacking = missing_minari(recipe)
        names = ", ".join(f"minari:{source.name}" for source in lacking)
        return f"data: not in the store yet, merpo run downloads it: {names}" if lacking else ""
    folder = collection_folder(recipe)
    every = [source for part in needed(recipe) for source in part]
    missing = [source for source in every if not manifest_path(folder, source.name).exists()]
    if not missing:
        return ""
    return (
        f"data: {len(missing)} of {len(every)} datasets are not in {folder}, the first is {missing[0].name}; "
        "merpo run or merpo collect collects them"
    )


def _found(
    recipe: Recipe, train: Sequence[tuple[TaskDataset, Manifest]], test: Sequence[tuple[TaskDataset, Manifest]]
) -> Iterator[str]:
    """Sizes, and the checks of a run's health that need nothing but data."""
    manifest = test[0][1]
    dims = manifest.observation_dim, manifest.action_dim
    rows = [m.transitions for _, m in (*train, *test)]
    yield (
        f"data: {len(train)} + {len(test)} datasets of {min(rows):,} to {max(rows):,} transitions, observations "
        f"{dims[0]}, actions {dims[1]}; a batch has {recipe.method.min_transitions}"
    )
    datasets = [data for data, _ in train], [data for data, _ in test]
    notes = [*notes_on_recipe(recipe, len(train)), *notes_on_data(recipe, *datasets)]
    yield from (f"note: {text}" for text in [*notes, *notes_on_origin(recipe.tasks, [*train, *test])])
    learnt = train if recipe.method.learns_from_tasks else ()
    figures = Figures(
        tasks=[m.task_index for _, m in test],
        columns=column_names(manifest.settings, *dims),
        observations=dims[0],
        coverage=coverage([data for data, _ in learnt], [data for data, _ in test]),
    )
    yield from map(check_line, judge(figures))
