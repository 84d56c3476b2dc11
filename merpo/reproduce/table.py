"""A table of hyper-parameters as data, compared with the values of our recipes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from merpo.components.component import Settings
from merpo.components.describe import value_text
from merpo.errors import nearest
from merpo.recipe.recipe import load_recipe, resolved
from merpo.reproduce.claim import ID

__all__ = ["Table", "TableCell", "compared"]


class OurRecipe(Settings):
    """A recipe of ours for one column of the table."""

    of: str = Field(min_length=1, description="The column.")
    recipe: str = Field(min_length=1, description="The recipe's name.")


class TableRow(Settings):
    """One hyper-parameter: its values in the order of the columns, and the key of recipes that has it."""

    name: str = Field(min_length=1, max_length=80, description="As the table calls it.")
    values: tuple[bool | int | float | str, ...] = Field(min_length=1, description="A value for each column.")
    key: str = Field("", description="The key of a recipe; empty: there is none.")
    form: Literal["", "log"] = Field("", description="What the table states of the value.")
    note: str = Field("", max_length=500, description="The reason for a departure, or why there is no key.")


class Table(Settings):
    """A table of the paper, and our recipes for its columns."""

    id: str = Field(pattern=ID, description="Its name, such as table2.")
    title: str = Field(min_length=1, max_length=200, description="Its caption.")
    source: str = Field("", max_length=200, description="Where it stands.")
    columns: tuple[str, ...] = Field(min_length=1, description="The heads of its columns.")
    recipes: tuple[OurRecipe, ...] = Field(min_length=1, description="Our recipes.")
    rows: tuple[TableRow, ...] = Field(min_length=1, description="The hyper-parameters.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        """Refuse a row without a value for each column, and a recipe of an unknown column."""
        for row in self.rows:
            if len(row.values) != len(self.columns):
                raise ValueError(f"rows: {row.name!r} has {len(row.values)} values, expected {len(self.columns)}")
        for one in self.recipes:
            if one.of not in self.columns:
                hint = nearest(one.of[:60], self.columns)
                raise ValueError(f"recipes: got {one.of!r:.60}{hint}, expected one of: {', '.join(self.columns)}")
        return self


class TableCell(NamedTuple):
    """One value of the table beside ours; `here` is None where the recipe has no such key."""

    row: TableRow
    recipe: str
    stated: str
    here: str | None
    equal: bool


def compared(table: Table, files: Mapping[str, Any]) -> list[TableCell]:
    """Every value of the table beside that of each recipe; `files` are those of the recipes, by name."""
    found = []
    for one in table.recipes:
        tables = resolved(load_recipe(files[one.recipe]))
        column = table.columns.index(one.of)
        for row in table.rows:
            stated, here = row.values[column], _value(tables, row) if row.key else None
            text = None if here is None else value_text(here)
            found.append(TableCell(row, one.recipe, value_text(stated), text, _equal(stated, here)))
    return found


def _value(tables: Mapping[str, Any], row: TableRow) -> Any:
    """The recipe's value in the form in which the table states it."""
    value: Any = tables
    for part in row.key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if row.form == "log" and isinstance(value, int | float):
        return math.log(value) if value > 0 else -math.inf
    return value


def _equal(stated: object, here: object) -> bool:
    if isinstance(stated, bool | str) or isinstance(here, bool):
        return type(stated) is type(here) and stated == here
    if isinstance(stated, int | float) and isinstance(here, int | float):
        return math.isclose(stated, here, rel_tol=1e-9, abs_tol=1e-12)
    return False
