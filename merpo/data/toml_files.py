"""The TOML files of an import: names of columns, and parameters of tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from merpo.errors import RecipeError
from merpo.recipe.text import MAX_BYTES, parse
from merpo.support.read import FileKind

__all__ = ["read_import_file"]

_KIND = FileKind("TOML", RecipeError, limit=MAX_BYTES, marked=True)


def read_import_file(path: Path) -> dict[str, Any]:
    """The tables of a file; raises `RecipeError` if it is missing, too large or not TOML."""
    return parse(_KIND.read_text(path), path)
