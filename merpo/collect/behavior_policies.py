"""From a recipe to its behaviour policies: found, or trained after having said what that takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from merpo.artifacts.checkpoints import checkpoint_steps
from merpo.artifacts.keeper import CHECKPOINTS, Keeper
from merpo.collect.collect_probe import estimate_seconds, measure_pace
from merpo.collect.plan import check_space, plan_collection, plan_lines
from merpo.collect.policies_file import find_trained, read_policies, save_policies
from merpo.collect.train import LOOP, Checkpoints, train_behavior
from merpo.components.context import Context
from merpo.components.interfaces import Critic
from merpo.errors import PluginError
from merpo.recipe.recipe import Recipe
from merpo.support.format import duration
from merpo.types import Task

__all__ = ["behavior_policies", "say_what_it_takes"]

Note = Callable[[str], None]


def say_what_it_takes(
    recipe: Recipe, folder: Path, tasks: list[Task], qualities: list[str], context: Context, note: Note
) -> None:
    """Tell what is left to do for datasets of these qualities, and how long it may take.

    Raises `DatasetError` where the disk has no room for it.
    """
    critic, settings = _critic(recipe), recipe.collect
    kept = next(iter(checkpoint_steps(folder / CHECKPOINTS / LOOP)), 0)
    found = find_trained(recipe, folder)
    since = kept if found is None else None
    size = len(tasks), recipe.data.episodes, qualities
    plan = plan_collection(recipe.tasks, critic, settings, *size, since, copied=found != folder)
    for line in plan_lines(plan, check_space(folder, plan)):
        note(f"data: {line}")
    pace = measure_pace(recipe.tasks, critic, tasks, settings, context)
    time = duration(estimate_seconds(plan, pace, len(tasks)))
    note(f"data: about {time}, estimated from {pace.steps} steps on this machine, as busy as it is now")


def behavior_policies(recipe: Recipe, folder: Path, tasks: list[Task], context: Context, note: Note) -> Checkpoints:
    """The checkpoints of SAC on every task, trained now or before; they are in `folder` afterwards."""
    keeper = Keeper(folder / CHECKPOINTS, folder.name, recipe.run.checkpoint_every, note)
    found = find_trained(recipe, folder)
    if found is None:
        kept = replace(context, resume=keeper.resume, keep=keeper.keep)
        with keeper.named():
            made = train_behavior(recipe.tasks, _critic(recipe), tasks, recipe.collect, kept)
    else:
        made = read_policies(recipe, found)
    if found not in (None, folder):
        note(f"data: behaviour policies taken from {found}, where they were trained in the same way")
    if found != folder:
        save_policies(recipe, folder, made)
    keeper.finish()
    return made


def _critic(recipe: Recipe) -> Critic:
    """SAC's critics."""
    from merpo.components.registry import get

    settings = {"hidden": recipe.collect.hidden, "output_scale": recipe.collect.value_scale}
    critic = get("critic", "conservative").model_validate(settings)
    if not isinstance(critic, Critic):
        raise PluginError(f"critic/conservative is a {type(critic).__name__}, expected a Critic")
    return critic
