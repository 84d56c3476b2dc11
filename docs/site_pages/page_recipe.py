"""The recipe reference, generated from the fields of the recipe and of merpo's own components."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from page_markdown import code, table, text
from pydantic import BaseModel

from merpo.cli.components import field_rows
from merpo.components.interfaces import KINDS
from merpo.components.registry import components
from merpo.recipe.recipe import Recipe

__all__ = ["recipe_page"]

COLUMNS = ("field", "type", "bound", "default", "meaning", "source")
HEAD = """# Recipe reference

Every field of a recipe, generated from the code when this page was built. `merpo show KIND/NAME` prints the fields of
any installed component, including other plugins; `merpo schema` prints a JSON schema for editors. See
[recipes](../recipes.md) for how recipes work.

"""


def recipe_page() -> str:
    """The page."""
    return HEAD + "\n".join([*_recipe(), *_components()])


def _recipe() -> Iterator[str]:
    yield "## The recipe itself\n"
    plain = [row for row in field_rows(Recipe) if "." not in row[0]]
    yield _fields(plain)
    for name, field in Recipe.model_fields.items():
        section: Any = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel) and not getattr(section, "kind", ""):
            yield f"### `[{name}]`\n\n{text(_summary(section))}\n"
            yield _fields(field_rows(section))


def _components() -> Iterator[str]:
    for kind, interface in KINDS.items():
        yield f"## Kind `{kind}`\n\n{text(_summary(interface))}\n"
        for entry in components(kind):
            if entry.distribution != "merpo" or entry.cls is None:
                continue
            yield f"### `{kind}/{entry.name}`\n\n{text(entry.summary)}\n"
            yield _fields(field_rows(entry.cls)) if entry.cls.model_fields else "It has no fields.\n"


def _fields(rows: Any) -> str:
    return table(COLUMNS, ([code(f), text(t), text(b), code(d), text(m), text(s)] for f, t, b, d, m, s in rows))


def _summary(cls: type) -> str:
    return inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0]
