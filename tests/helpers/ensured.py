"""Collection of a recipe's data, and the SHA-256 of its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from merpo.collect.collect import ensure_data
from merpo.components.context import Context
from merpo.recipe.recipe import Recipe
from merpo.support.files import sha256_file

__all__ = ["ensure", "hashes"]


def ensure(recipe: Recipe, **settings: Any) -> tuple[list[str], list[str]]:
    """Collect missing data; returns (names of the collected datasets, messages)."""
    said: list[str] = []
    made = ensure_data(recipe, Context(seed=recipe.collect.seed), said.append, **settings)
    return [source.name for source in made], said


def hashes(folder: Path) -> dict[str, str]:
    """The SHA-256 of a folder's safetensors files, by name."""
    return {path.name: sha256_file(path) for path in sorted(folder.glob("*.safetensors"))}
