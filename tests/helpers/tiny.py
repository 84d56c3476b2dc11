"""The tiny recipe of `merpo.recipe.tiny` for tests: a whole run in about a second."""

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
    """The tiny recipe with `changes`."""
    return from_tables(tables(changes))


def write_tiny(path: Path, changes: Mapping[str, Any] | None = None) -> Path:
    """Write the tiny recipe with `changes` to a file; returns its path."""
    path.write_text(tomli_w.dumps(tables(changes)), "utf-8")
    return path
