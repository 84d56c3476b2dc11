"""Recipe inheritance: `extends = "../base.toml"`, or "merpo_adp" that ships with merpo, and the values that differ."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from merpo.components.describe import value_text
from merpo.errors import RecipeError, nearest
from merpo.recipe.shipped import shipped
from merpo.recipe.text import read

__all__ = ["merge", "named_recipe", "read_tables"]

MAX_CHAIN = 8  # base recipes in a chain of `extends`


def read_tables(path: Path) -> dict[str, Any]:
    """The tables of a recipe, merged over those of the recipes that it extends.

    Raises `RecipeError`, naming the recipe with the faulty `extends`, if that is neither the relative path of a
    readable TOML file nor the name of a recipe that ships with merpo, or if the chain is circular.
    """
    layers, current = [read(path)], path
    seen = {_identity(path, path)}
    while "extends" in layers[-1]:
        base = named_recipe(current, layers[-1].pop("extends"), "extends")
        identity = _identity(base, current)
        if identity in seen:
            raise RecipeError(f"{current}: extends: {base} makes the chain circular")
        if len(layers) > MAX_CHAIN:
            raise RecipeError(f"{current}: extends: {path} has more than {MAX_CHAIN} base recipes")
        seen.add(identity)
        layers.append(_read_base(base, current))
        current = base
    merged: dict[str, Any] = {}
    for layer in reversed(layers):
        merged = merge(merged, layer)
    return merged


def merge(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Merge `own` over `base`, section by section; `alpha = "fixed"` is short for a section.

    A section that names another component replaces the whole section, also where `base` names none: its default may
    be another component.
    """
    merged = dict(base)
    for key, value in own.items():
        old, new = _sections(merged.get(key), value)
        both = isinstance(old, Mapping) and isinstance(new, Mapping)
        merged[key] = merge(old, new) if both and not _other_component(old, new) else value
    return merged


def _sections(base: Any, own: Any) -> tuple[Any, Any]:
    """Both values, with a component's bare name expanded to a section if the other value is a section."""
    if isinstance(base, Mapping) and isinstance(own, str):
        return base, {"component": own}
    if isinstance(base, str) and isinstance(own, Mapping):
        return {"component": base}, own
    return base, own


def _other_component(base: Mapping[str, Any], own: Mapping[str, Any]) -> bool:
    return "component" in own and own["component"] != base.get("component")


def named_recipe(file: Path, value: Any, key: str) -> Path:
    """The recipe that `file` names under `key`: a path relative to its folder, or a recipe that ships with merpo."""
    hint = ""
    if isinstance(value, str):
        if value.endswith(".toml") and not _absolute(value):
            return file.parent / value
        known = shipped()
        if value in known:
            return known[value]
        hint = nearest(value[:60], known)
    raise RecipeError(
        f"{file}: {key}: got {value_text(value)}{hint}, expected the relative path of a recipe such as "
        '"../base.toml", or the name of one that ships with merpo such as "merpo_adp"'
    )


def _absolute(path: str) -> bool:
    """Whether a path is absolute on POSIX or Windows; checked alike everywhere, so that recipes are portable."""
    return PurePosixPath(path).is_absolute() or bool(PureWindowsPath(path).anchor)


def _read_base(path: Path, recipe: Path) -> dict[str, Any]:
    """The tables of the base recipe at `path`; errors name `recipe`, which extends it."""
    try:
        return read(path)
    except RecipeError as error:
        raise RecipeError(f"{recipe}: extends: {error}") from None


def _identity(path: Path, recipe: Path) -> Path:
    """The resolved path, equal for every spelling of the same file."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # circular links, a null byte
        raise RecipeError(f"{recipe}: extends: {str(path)[:200]!r} cannot be read: {error}") from None
