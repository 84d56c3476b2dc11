"""Collected data of a tiny recipe, and its hashes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from merpo.collect.collect import ensure_data
from merpo.components.context import Context
from merpo.recipe.recipe import Recipe
from merpo.support.files import sha256_file

__all__ = ["ensure", "hashes"]


def ensure(recipe: Recipe, **settings: Any) -> tuple[list[str], list[str]]:
    """(names of what was collected, what was said)."""
    said: list[str] = []
    made = ensure_data(recipe, Context(seed=recipe.collect.seed), said.append, **settings)
    return [source.name for source in made], said


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: sha256_file(path) for path in sorted(folder.glob("*.safetensors"))}
