"""The files of figures and tables: those that ship with merpo, by name, and anybody's, by path."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from merpo.components.component import tuples
from merpo.errors import RecipeError, nearest
from merpo.recipe.errors import recipe_error
from merpo.recipe.extends import named_recipe
from merpo.recipe.text import read
from merpo.reproduce.figure import Figure
from merpo.reproduce.table import Table

__all__ = ["Source", "read_source", "recipes_of", "shipped_sources", "sources"]

FOLDER = Path(__file__).parent / "figures"
TABLE = "columns"  # the key that only tables have


class Source:
    """A figure or a table, and the file that it is from."""

    def __init__(self, content: Figure | Table, path: Path) -> None:
        self.content, self.path = content, path

    def recipe(self, name: str) -> Path:
        """The file of a recipe that the content names."""
        return named_recipe(self.path, name, "recipe")


def sources() -> list[Source]:
    """All figures and tables that ship with merpo, in the order of their numbers."""
    return [read_source(name) for name in shipped_sources()]


def shipped_sources() -> dict[str, Path]:
    """Name -> file: figures first, each kind in the order of the numbers."""
    found = {path.stem: path for path in FOLDER.glob("*.toml")}
    return {name: found[name] for name in sorted(found, key=_order)}


def read_source(name: str) -> Source:
    """The figure or table of a name, or in a file ending in `.toml`; raises `RecipeError` with every problem in it."""
    known = shipped_sources()
    if not name.endswith(".toml"):
        if name not in known:
            raise RecipeError(
                f"reproduce: got {name!r:.80}{nearest(name[:60], known)}, expected one of: {', '.join(known)}; or the "
                "path of a figure in TOML"
            )
        return _read(known[name])
    return _read(Path(name))


def recipes_of(source: Source, table: Table) -> Mapping[str, Path]:
    """Name -> file of the recipes of a table."""
    return {one.recipe: source.recipe(one.recipe) for one in table.recipes}


def _read(path: Path) -> Source:
    tables: dict[str, Any] = tuples(read(path))
    model: type[Figure] | type[Table] = Table if TABLE in tables else Figure
    try:
        return Source(model.model_validate(tables), path)
    except ValidationError as error:
        raise recipe_error(error, str(path), model, tables) from None


def _order(name: str) -> tuple[bool, str, int]:
    letters = name.rstrip("0123456789")
    number = name[len(letters) :]
    return letters != "fig", letters, int(number or 0)
