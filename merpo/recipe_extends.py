"""`extends = "../merpo_adp.toml"`: a recipe that states only where it differs from another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from merpo.describe import value_text
from merpo.errors import RecipeError
from merpo.recipe_text import read

__all__ = ["merge", "read_tables"]

MAX_CHAIN = 8  # recipes between the first and the last of a chain of `extends`


def read_tables(path: Path) -> dict[str, Any]:
    """The tables of a recipe, with those of the recipe that it extends beneath them.

    Raises `RecipeError` for an `extends` that is not the relative path of a TOML file, or that goes round in a circle.
    """
    tables = read(path)
    chain = [path.resolve()]
    layers = [tables]
    while "extends" in layers[-1]:
        below = _target(chain[-1], layers[-1].pop("extends"), path)
        if below in chain or len(chain) > MAX_CHAIN:
            raise RecipeError(f"{path}: extends: goes round in a circle, or more than {MAX_CHAIN} recipes deep")
        chain.append(below)
        layers.append(read(below))
    merged: dict[str, Any] = {}
    for layer in reversed(layers):
        merged = merge(merged, layer)
    return merged


def merge(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """`own` over `base`, section by section. A section that names another component replaces the whole section."""
    merged = dict(base)
    for key, value in own.items():
        below = merged.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping) and not _other_component(below, value):
            merged[key] = merge(below, value)
        else:
            merged[key] = value
    return merged


def _other_component(base: Mapping[str, Any], own: Mapping[str, Any]) -> bool:
    return "component" in own and own["component"] != base.get("component")


def _target(recipe: Path, value: Any, place: Path) -> Path:
    """The recipe that `value` names, from the folder of the recipe that says so."""
    if not isinstance(value, str) or not value.endswith(".toml") or PurePosixPath(value).is_absolute():
        raise RecipeError(
            f"{place}: extends: got {value_text(value)}, expected the relative path of a recipe such as \"../merpo_adp.toml\""
        )
    return (recipe.parent / value).resolve()
