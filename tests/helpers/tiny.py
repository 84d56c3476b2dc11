"""A whole run in about a second, as tests use it: the tiny recipe of `merpo.recipe.tiny`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from merpo.recipe.recipe import Recipe, from_tables
from merpo.recipe.tiny import TINY, WIDTH
from merpo.recipe.tiny import tiny_tables as tables

__all__ = ["TINY", "WIDTH", "tables", "tiny_recipe", "write_tiny"]


def tiny_recipe(changes: Mapping[str, Any] | None = None) -> Recipe:
    """The tiny recipe with `changes` over it."""
    return from_tables(tables(changes))


def write_tiny(path: Path, changes: Mapping[str, Any] | None = None) -> Path:
    """The tiny recipe as a file."""
    path.write_text(tomli_w.dumps(tables(changes)), "utf-8")
    return path
