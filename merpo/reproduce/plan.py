"""From a figure to runs: each arm's recipe with its overrides, for every seed, in folders that figures share."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from merpo.compare.arms import SHARED
from merpo.data.needed import collection_folder
from merpo.errors import RecipeError
from merpo.recipe.recipe import Recipe, load_recipe, resolved
from merpo.reproduce.figure import Arm, Family, Figure, Need, Size
from merpo.reproduce.files import Source
from merpo.support.paths import inside
from merpo.sweep.plan import Job

__all__ = ["Collection", "Experiment", "plan"]


class Collection(NamedTuple):
    """Data that is collected first."""

    source: Path  # the recipe's file
    overrides: tuple[str, ...]
    qualities: tuple[str, ...]
    recipe: Recipe  # with the overrides
    folder: Path  # in the store


class Experiment(NamedTuple):
    """A figure on one family at one size: all of its runs."""

    figure: Figure
    family: Family
    size: Size
    seeds: tuple[int, ...]
    fresh: bool  # whether every seed has data of its own
    collections: tuple[Collection, ...]
    jobs: dict[tuple[str, int], Job]  # (arm, seed)

    @property
    def name(self) -> str:
        """A name for files."""
        return f"{self.figure.id}-{self.family.name}-{self.size.name}"

    @property
    def runs(self) -> list[Job]:
        """Every run once: arms with equal recipes share theirs."""
        return list({job.folder: job for job in self.jobs.values()}.values())

    def jobs_of(self, arm: str) -> list[Job]:
        """The runs of one arm."""
        return [self.jobs[arm, seed] for seed in self.seeds]


def plan(
    source: Source, figure: Figure, family: str, size: str, seeds: Sequence[int], out: Path, fresh: bool = False
) -> Experiment:
    """All runs of a figure on one family; raises `RecipeError`, with the arm's name, for a recipe that is not valid.

    With `fresh`, the data of seed k is collected with `collect.seed` = k.
    """
    chosen = figure.family(family)
    scale = chosen.size(size)
    jobs: dict[tuple[str, int], Job] = {}
    collections: dict[Path, Collection] = {}
    arms = sorted(figure.arms_of(family), key=lambda arm: bool(arm.meta))  # those that others begin with first
    for seed in seeds:
        drawn = (f"collect.seed={seed}",) if fresh else ()
        needs = {need.name: _collection(source, figure, need, scale, drawn) for need in chosen.needs}
        collections |= {one.folder: one for one in needs.values()}
        names = {name: one.folder.name for name, one in needs.items()}
        for arm in arms:
            base = jobs.get((arm.meta, seed))
            jobs[arm.id, seed] = _job(source, figure, arm, chosen, scale, drawn, names, seed, base, out)
    ordered = {(arm.id, seed): jobs[arm.id, seed] for arm in figure.arms_of(family) for seed in seeds}
    return Experiment(figure, chosen, scale, tuple(seeds), fresh, tuple(collections.values()), ordered)


def _collection(source: Source, figure: Figure, need: Need, size: Size, drawn: tuple[str, ...]) -> Collection:
    path, overrides = source.recipe(need.recipe), (*need.set, *size.collect, *drawn)
    recipe = _loaded(path, overrides, f"{figure.id}: needs.{need.name}")
    if recipe.data.named:
        raise RecipeError(
            f"{figure.id}: needs.{need.name}: {need.recipe} names its data, expected one that collects it"
        )
    return Collection(path, overrides, need.qualities, recipe, collection_folder(recipe))


def _job(
    source: Source,
    figure: Figure,
    arm: Arm,
    family: Family,
    size: Size,
    drawn: tuple[str, ...],
    collections: Mapping[str, str],
    seed: int,
    base: Job | None,
    out: Path,
) -> Job:
    here = next((one for one in family.arms if one.id == arm.id), None)
    name = (here.recipe if here else "") or arm.recipe or size.recipe or family.recipe
    own = here.set if here else ()
    overrides = tuple(_filled(text, collections) for text in (*family.set, *size.set, *arm.set, *own, *drawn))
    path = source.recipe(name)
    recipe = _loaded(path, overrides, f"{figure.id}: arms.{arm.id} on {family.name}")
    folder = f"{path.stem}-{_digest(recipe, base)}"
    place = inside(out, folder, f"seed-{seed}", what="the name of a recipe", error=RecipeError)
    return Job(path, folder, overrides, seed, place, recipe, arm.label, None if base is None else base.folder)


def _loaded(path: Path, overrides: Sequence[str], place: str) -> Recipe:
    try:
        return load_recipe(path, overrides)
    except RecipeError as error:
        raise RecipeError(f"{error} (in {place})") from None


def _filled(override: str, collections: Mapping[str, str]) -> str:
    """An override with the names of collections in place of `{need}`."""
    for name, collection in collections.items():
        override = override.replace(f"{{{name}}}", collection)
    return override


def _digest(recipe: Recipe, base: Job | None) -> str:
    """What tells recipes apart whose files have the same name, and runs that begin with other meta-artifacts."""
    values = {key: value for key, value in resolved(recipe).items() if key not in SHARED}
    text = json.dumps([values, base.variant if base else ""], sort_keys=True)
    return sha256(text.encode()).hexdigest()[:10]
