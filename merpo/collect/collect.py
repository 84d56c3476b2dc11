"""`merpo collect`, and the data that a run lacks: collected into the store."""

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
from merpo.recipe.recipe import Recipe
from merpo.recipe.sections import QUALITIES
from merpo.support.lock import folder_lock
from merpo.support.machine import machine
from merpo.support.stop import check, graceful

__all__ = ["collect_recipe", "ensure_data"]

LINES = 16  # of the table of what was collected; the rest is in `merpo data show`


def collect_recipe(recipe: Recipe, qualities: Sequence[str] = ()) -> None:
    """Collect the data that a recipe needs and the store lacks or holds damaged; what `merpo collect` does.

    With `qualities`, every task's data of each of these, whatever the recipe's own. Raises `RecipeError` for an
    unknown one, and where the recipe names data that is not collected.
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
            raise StoppedError(f"{stopped}; the same command goes on") from None
        if not recipe.data.named:
            try:
                progress.note(f"data: learning curve in {draw_curve(recipe, collection_folder(recipe))}")
            except ArtifactError as error:  # the datasets are there all the same
                progress.note(f"data: no learning curve: {error}")


def ensure_data(
    recipe: Recipe,
    context: Context,
    note: Callable[[str], None],
    collect: bool = True,
    repair: bool = False,
    qualities: Sequence[str] = (),
) -> list[TaskSource]:
    """Collect what the store lacks, and say what is done and how good it is; returns what was collected.

    With `qualities`, all tasks' data of each of these is needed. A dataset that is there but damaged is not lacking:
    loading refuses it by name, and only `repair` collects it again. Raises `DatasetError` if something is lacking and
    `collect` is False, or the disk has no room for it.
    """
    if recipe.data.named:
        ensure_named(recipe, note, collect)
        return []
    folder = collection_folder(recipe)
    train, unseen = _of_qualities(needed(recipe), qualities)
    every = sorted(train + unseen)
    lacking = _lacking(folder, every, recipe, note, repair)
    if not lacking:
        note(f"data: {len(train)} + {len(unseen)} datasets found in {folder}")
        return []
    if not collect:
        raise DatasetError(
            f"{folder}: {len(lacking)} of {len(train) + len(unseen)} datasets are missing, the first is "
            f"{lacking[0].name}; leave out --no-collect, or run: merpo collect RECIPE"
        )
    with folder_lock(folder / LOCK, note):
        lacking = _lacking(folder, every, recipe, lambda _: None, repair)  # another may have collected them by now
        if not lacking:
            note(f"data: {len(train)} + {len(unseen)} datasets found in {folder}")
            return []
        note(f"data: collecting {len(lacking)} datasets into {folder}")
        tasks = list({source.index: source.task for source in every}.values())
        announce_plan(recipe, folder, tasks, [source.quality for source in lacking], context, note)
        trained = ensure_policies(recipe, folder, tasks, context, note)
        write_curve(folder, trained)
        for quality in [quality for quality in QUALITIES if any(source.quality == quality for source in lacking)]:
            _collect(recipe, folder, quality, [s for s in lacking if s.quality == quality], trained, context)
    for line in quality_lines(folder, [source.name for source in every], LINES):
        note(f"data: {line}")
    return lacking


def _of_qualities(
    parts: tuple[list[TaskSource], list[TaskSource]], qualities: Sequence[str]
) -> tuple[list[TaskSource], list[TaskSource]]:
    """The same tasks in each of `qualities`, or as they are where there are none."""
    if not qualities:
        return parts
    train, unseen = (
        [replace(source, quality=q) for source in part for q in dict.fromkeys(qualities)] for part in parts
    )
    return train, unseen


def _lacking(
    folder: Path, every: list[TaskSource], recipe: Recipe, note: Callable[[str], None], repair: bool
) -> list[TaskSource]:
    """What is to be collected: datasets that are not there and, with `repair`, those that cannot be used."""
    lacking = [source for source in every if not manifest_path(folder, source.name).exists()]
    if repair:
        there = [source for source in every if source not in lacking]
        lacking += [source for source in there if _damaged(folder, source, recipe, note)]
    return lacking


def _damaged(folder: Path, source: TaskSource, recipe: Recipe, note: Callable[[str], None]) -> bool:
    """Whether a dataset that is there cannot be used; `note` is told why."""
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
    made = collect_quality(recipe.tasks, tasks, index, trained, quality, recipe.data.episodes, recipe.collect, context)
    for done, (source, episodes) in enumerate(zip(sources, made, strict=True), 1):
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
