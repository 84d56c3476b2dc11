"""`extends = "../merpo_adp.toml"`: a recipe that states only where it differs from another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from merpo.components.describe import value_text
from merpo.errors import RecipeError
from merpo.recipe.text import read

__all__ = ["merge", "read_tables"]

MAX_CHAIN = 8  # recipes beneath the first in a chain of `extends`


def read_tables(path: Path) -> dict[str, Any]:
    """The tables of a recipe, with those of the recipe that it extends beneath them.

    Raises `RecipeError`, naming the recipe that says so, for an `extends` that is not the relative path of a TOML file
    that can be read, or that goes round in a circle.
    """
    layers, current = [read(path)], path
    seen = {_identity(path, path)}
    while "extends" in layers[-1]:
        below = _target(current, layers[-1].pop("extends"))
        identity = _identity(below, current)
        if identity in seen:
            raise RecipeError(f"{current}: extends: {below} goes round in a circle")
        if len(layers) > MAX_CHAIN:
            raise RecipeError(f"{current}: extends: more than {MAX_CHAIN} recipes beneath {path}")
        seen.add(identity)
        layers.append(_read_below(below, current))
        current = below
    merged: dict[str, Any] = {}
    for layer in reversed(layers):
        merged = merge(merged, layer)
    return merged


def merge(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """`own` over `base`, section by section; `alpha = "fixed"` is short for a section.

    A section that names another component replaces the whole section; so does one that names a component where
    `base` names none, since its default may be another.
    """
    merged = dict(base)
    for key, value in own.items():
        below, above = _sections(merged.get(key), value)
        both = isinstance(below, Mapping) and isinstance(above, Mapping)
        merged[key] = merge(below, above) if both and not _other_component(below, above) else value
    return merged


def _sections(base: Any, own: Any) -> tuple[Any, Any]:
    """Both values, a component's bare name written out where the other one is a section."""
    if isinstance(base, Mapping) and isinstance(own, str):
        return base, {"component": own}
    if isinstance(base, str) and isinstance(own, Mapping):
        return {"component": base}, own
    return base, own


def _other_component(base: Mapping[str, Any], own: Mapping[str, Any]) -> bool:
    return "component" in own and own["component"] != base.get("component")


def _target(recipe: Path, value: Any) -> Path:
    """The recipe that `value` names, from the folder of the recipe that says so."""
    if not isinstance(value, str) or not value.endswith(".toml") or _absolute(value):
        raise RecipeError(
            f"{recipe}: extends: got {value_text(value)}, "
            'expected the relative path of a recipe such as "../merpo_adp.toml"'
        )
    return recipe.parent / value


def _absolute(path: str) -> bool:
    """On any system, so that a recipe means the same on all of them."""
    return PurePosixPath(path).is_absolute() or bool(PureWindowsPath(path).anchor)


def _read_below(path: Path, recipe: Path) -> dict[str, Any]:
    try:
        return read(path)
    except RecipeError as error:
        raise RecipeError(f"{recipe}: extends: {error}") from None


def _identity(path: Path, recipe: Path) -> Path:
    """The same for one file however it is spelled."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a circle of links, a null byte
        raise RecipeError(f"{recipe}: extends: {str(path)[:200]!r} cannot be read: {error}") from None
