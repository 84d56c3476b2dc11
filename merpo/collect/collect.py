"""`merpo collect`: collection of missing datasets into the store, also used by `merpo run`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from merpo.collect.behavior_policies import announce_plan, ensure_policies
from merpo.collect.episodes import collect_quality
from merpo.collect.learning_curve import write_curve
from merpo.collect.train import BehaviorPolicies
from merpo.components.context import Context
from merpo.data.listing import quality_lines
from merpo.data.named import ensure_named
from merpo.data.needed import TaskSource, collection_folder, needed, read_source
from merpo.data.places import LOCK, manifest_path
from merpo.data.store import write_dataset
from merpo.errors import ArtifactError, DatasetError, RecipeError, StoppedError, nearest
from merpo.recipe.memory import check_memory, needed_memory
from merpo.recipe.recipe import Recipe
from merpo.recipe.sections import QUALITIES
from merpo.support.lock import folder_lock
from merpo.support.machine import available_memory, machine
from merpo.support.stop import check, graceful

__all__ = ["collect_recipe", "ensure_data"]

LINES = 16  # maximum lines of the table of collected data; `merpo data show` prints all


def collect_recipe(recipe: Recipe, qualities: Sequence[str] = ()) -> None:
    """Collect a recipe's datasets that are missing or damaged in the store; implements `merpo collect`.

    `qualities` replace the recipe's own, for every task. Raises `RecipeError` for an unknown one, and for a recipe with
    named data, which is not collected.
    """
    from merpo.collect.learning_curve import draw_curve
    from merpo.data.needed import collection_folder
    from merpo.support.progress import Progress

    for quality in qualities:
        if quality not in QUALITIES:
            known = ", ".join(QUALITIES)
            raise RecipeError(f"--quality: got {quality!r:.80}, expected {known}{nearest(quality, QUALITIES)}")
    if qualities and recipe.data.named:
        raise RecipeError("--quality: the recipe takes its data by name (data.train, data.test): none is collected")
    with graceful(), machine(recipe.run.threads), Progress() as progress:
        context = Context(seed=recipe.collect.seed, log=progress.log)
        try:
            ensure_data(recipe, context, progress.note, repair=True, qualities=qualities)
        except StoppedError as stopped:
            raise StoppedError(f"{stopped}; run the same command to resume") from None
        if not recipe.data.named:
            try:
                progress.note(f"data: learning curve in {draw_curve(recipe, collection_folder(recipe))}")
            except ArtifactError as error:  # not fatal: the datasets are complete
                progress.note(f"data: no learning curve: {error}")


def ensure_data(
    recipe: Recipe,
    context: Context,
    note: Callable[[str], None],
    collect: bool = True,
    repair: bool = False,
    qualities: Sequence[str] = (),
) -> list[TaskSource]:
    """Collect missing datasets, reporting progress and their returns; returns the collected ones.

    With `qualities`, all tasks' data of each of these is needed. A damaged dataset does not count as missing: loading
    refuses it by name, and only `repair` collects it again. Raises `DatasetError` if datasets are missing and `collect`
    is False, or if the disk has too little space.
    """
    if recipe.data.named:
        ensure_named(recipe, note, collect)
        return []
    folder = collection_folder(recipe)
    train, unseen = _of_qualities(needed(recipe), qualities)
    every = sorted(train + unseen)
    missing = _missing(folder, every, recipe, note, repair)
    if not missing:
        note(f"data: {len(train)} + {len(unseen)} datasets found in {folder}")
        return []
    if not collect:
        raise DatasetError(
            f"{folder}: {len(missing)} of {len(train) + len(unseen)} datasets are missing, the first is "
            f"{missing[0].name}; leave out --no-collect, or run: merpo collect RECIPE"
        )
    with folder_lock(folder / LOCK, note):
        missing = _missing(folder, every, recipe, lambda _: None, repair)  # another process may have collected some
        if not missing:
            note(f"data: {len(train)} + {len(unseen)} datasets found in {folder}")
            return []
        note(f"data: collecting {len(missing)} datasets into {folder}")
        tasks = list({source.index: source.task for source in every}.values())
        sizes = recipe.data.train_tasks, recipe.data.test_tasks
        check_memory(needed_memory(recipe, *sizes, collects=True), available_memory())
        announce_plan(recipe, folder, tasks, [source.quality for source in missing], context, note)
        trained = ensure_policies(recipe, folder, tasks, context, note)
        write_curve(folder, trained)
        for quality in [quality for quality in QUALITIES if any(source.quality == quality for source in missing)]:
            _collect(recipe, folder, quality, [s for s in missing if s.quality == quality], trained, context)
    for line in quality_lines(folder, [source.name for source in every], LINES):
        note(f"data: {line}")
    return missing


def _of_qualities(
    parts: tuple[list[TaskSource], list[TaskSource]], qualities: Sequence[str]
) -> tuple[list[TaskSource], list[TaskSource]]:
    """The sources of the same tasks in each of `qualities`; unchanged without any."""
    if not qualities:
        return parts
    train, unseen = (
        [replace(source, quality=q) for source in part for q in dict.fromkeys(qualities)] for part in parts
    )
    return train, unseen


def _missing(
    folder: Path, every: list[TaskSource], recipe: Recipe, note: Callable[[str], None], repair: bool
) -> list[TaskSource]:
    """The datasets to collect: those that do not exist and, with `repair`, those that are damaged."""
    missing = [source for source in every if not manifest_path(folder, source.name).exists()]
    if repair:
        present = [source for source in every if source not in missing]
        missing += [source for source in present if _damaged(folder, source, recipe, note)]
    return missing


def _damaged(folder: Path, source: TaskSource, recipe: Recipe, note: Callable[[str], None]) -> bool:
    """Whether an existing dataset is unusable; `note` receives the reason."""
    try:
        read_source(folder, source, recipe)
    except DatasetError as error:
        note(f"data: {error}")
        return True
    return False


def _collect(
    recipe: Recipe, folder: Path, quality: str, sources: list[TaskSource], trained: BehaviorPolicies, context: Context
) -> None:
    """Roll out the policies of one quality for `sources`, and store the episodes."""
    index = [source.index for source in sources]
    tasks = [source.task for source in sources]
    data = collect_quality(recipe.tasks, tasks, index, trained, quality, recipe.data.episodes, recipe.collect, context)
    for done, (source, episodes) in enumerate(zip(sources, data, strict=True), 1):
        check()
        returns = episodes.data.episode_returns()
        write_dataset(
            folder,
            source.name,
            episodes.data,
            family=recipe.tasks.name,
            family_settings=recipe.tasks.model_dump(),
            task_index=source.index,
            quality=quality,
            step=episodes.step,
            return_mean=float(returns.mean()),
            return_std=float(returns.std(correction=0)),
            seed=recipe.collect.seed,
            settings=recipe.collect.model_dump(),
            policy=episodes.policy,
        )
        if done % 10 == 0 or done == len(sources):
            context.log(f"collect {quality}", done, len(sources), {"return": returns.mean()})
