"""The meta-artifact of another run, with which a run begins instead of meta-training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from merpo.artifacts.run_folder import META, open_run
from merpo.data.normalize import split_normalization
from merpo.errors import RecipeError
from merpo.nn.params import to_device
from merpo.recipe.recipe import Recipe, resolved
from merpo.types import Normalization, Params

__all__ = ["GivenMeta", "read_given_meta"]


class GivenMeta(NamedTuple):
    """A meta-artifact, the normalisation it was trained with, and its digest."""

    groups: dict[str, Params]
    normalization: Normalization | None
    sha256: str


def read_given_meta(path: Path, recipe: Recipe, device: str) -> GivenMeta:
    """The last meta-artifact of the run in `path`, for a run of `recipe`.

    Raises `RecipeError` that names every key on which meta-training depends and in which the recipes differ.
    """
    run = open_run(path)
    differing = [
        f"{key}: {_shown(theirs)} in {path}, {_shown(ours)} in the recipe"
        for key, ours, theirs in _differences(resolved(recipe), resolved(run.recipe))
        if _matters(recipe, key)
    ]
    if recipe.tasks.spec()[:2] != run.recipe.tasks.spec()[:2]:
        ours, theirs = recipe.tasks.spec()[:2], run.recipe.tasks.spec()[:2]
        differing.append(f"(observation, action) dims: {theirs} in {path}, {ours} in the recipe")
    if differing:
        raise RecipeError("--meta: the run was meta-trained with other settings; " + "; ".join(differing))
    groups, normalization = split_normalization(run.groups(META), recipe.data.normalize_observations, path)
    normalization = None if normalization is None else normalization.to(device)
    return GivenMeta(to_device(groups, device), normalization, run.manifest["artifacts"][META])


def _matters(recipe: Recipe, key: str) -> bool:
    """Whether meta-training depends on a key."""
    section, _, rest = key.partition(".")
    if section == "method":
        return bool(recipe.method.fixed_after_fit(rest))
    return key in ("data.normalize_observations", "data.largest_action")


def _differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Every key with other values: (key, ours, theirs)."""
    one, other = dict(_flat(ours, "")), dict(_flat(theirs, ""))
    for key in dict.fromkeys((*one, *other)):
        if one.get(key) != other.get(key):
            yield key, one.get(key), other.get(key)


def _flat(tables: Mapping[str, Any], place: str) -> Iterator[tuple[str, Any]]:
    for key, value in tables.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{place}{key}.")
        else:
            yield f"{place}{key}", value


def _shown(value: Any) -> str:
    return "not set" if value is None else f"{value!r:.60}"
