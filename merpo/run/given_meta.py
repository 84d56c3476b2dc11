"""The meta-artifact of another run, with which a run begins instead of meta-training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from merpo.artifacts.differences import differences
from merpo.artifacts.finished_run import open_run
from merpo.artifacts.run_folder import META
from merpo.data.normalize import split_normalization
from merpo.errors import RecipeError
from merpo.nn.params import to_device
from merpo.recipe.recipe import Recipe, resolved
from merpo.support.files import sha256_file
from merpo.types import Normalization, Params

__all__ = ["GivenMeta", "read_given_meta"]


class GivenMeta(NamedTuple):
    """A meta-artifact, the normalisation it was trained with, its digest, and what its data lacks."""

    groups: dict[str, Params]
    normalization: Normalization | None
    sha256: str
    subtracted: list[float] | None  # from the observations of its data; None: not known


def read_given_meta(path: Path, recipe: Recipe, device: str, trust: bool = False) -> GivenMeta:
    """The last meta-artifact of the run in `path`, for a run of `recipe`; with `trust` see `open_run`.

    Raises `RecipeError` that names every key on which meta-training depends and in which the recipes differ.
    """
    run = open_run(path, trust)
    ours, theirs = (_that_matter(recipe, resolved(one)) for one in (recipe, run.recipe))
    differing = [text for text in (differences(theirs, ours),) if text]
    if recipe.tasks.spec()[:2] != run.recipe.tasks.spec()[:2]:
        there, here = run.recipe.tasks.spec()[:2], recipe.tasks.spec()[:2]
        differing.append(f"(observation, action) dims ({there} there, {here} here)")
    if differing:
        raise RecipeError(f"--meta {path}: was meta-trained with other settings: {', '.join(differing)}")
    groups, normalization = split_normalization(run.groups(META), recipe.data.normalize_observations, path)
    normalization = None if normalization is None else normalization.to(device)
    return GivenMeta(
        to_device(groups, device), normalization, sha256_file(run.artifact(META)), run.manifest.get("subtracted")
    )


def _that_matter(recipe: Recipe, tables: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a resolved recipe on which meta-training depends, by key."""
    keys = {f"method.{key}": value for key, value in _flat(tables["method"]) if recipe.method.fixed_after_fit(key)}
    return keys | {f"data.{key}": tables["data"][key] for key in ("normalize_observations", "largest_action")}


def _flat(tables: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tables.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
