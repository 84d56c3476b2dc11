"""The library reference: every public name, in groups, rendered from its docstring and signature."""

from __future__ import annotations

import ast
import re
import textwrap
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import merpo

__all__ = ["GROUPS", "api_page", "grouped", "meaning"]

GROUPS = {
    "Interfaces": "The kinds of component, which plugins implement.",
    "Methods and their surroundings": "Arguments and results of a method.",
    "Data": "Tasks and their transitions.",
    "Recipes and runs": "Load a recipe, run it, and load its policies.",
    "The stages of MerPO": "The paper's algorithms as functions, for methods that compose them differently.",
    "Networks and arithmetic": "Parameters are dicts of tensors with leading dims for tasks, members or critics.",
    "Settings": "Sections of recipes.",
    "Plugins": "Names for a plugin's module.",
}

# The module that defines a name, or its package -> the group of the name.
PLACES = {
    "algorithm": "The stages of MerPO",
    "algorithm.settings": "Settings",
    "components": "Plugins",
    "components.context": "Methods and their surroundings",
    "components.interfaces": "Interfaces",
    "components.task_data": "Data",
    "data": "Data",
    "errors": "Recipes and runs",
    "evaluation": "Recipes and runs",
    "nn": "Networks and arithmetic",
    "nn.noise": "Methods and their surroundings",
    "policies": "Recipes and runs",
    "policies.given": "The stages of MerPO",
    "recipe": "Recipes and runs",
    "run": "Recipes and runs",
    "types": "Data",
}
OTHER = "More"  # names of modules without a group

HEAD = """# Library reference

Every public name of `merpo`. A plugin uses these, `merpo.lazy` and, in tests, `merpo.testing`; [library](../library.md)
shows them in use.
Dims in shapes: T tasks, M members, C critics, B rows, O observation and A action dimensions.

"""
TESTING = """## Testing

::: merpo.testing.check_component

"""


def api_page() -> str:
    """The page."""
    return HEAD + "".join(_sections()) + TESTING


def grouped() -> dict[str, list[str]]:
    """Group -> full names, each public name once."""
    found: dict[str, list[str]] = defaultdict(list)
    for module, name in _public():
        found[PLACES.get(module) or PLACES.get(module.partition(".")[0], OTHER)].append(f"merpo.{module}.{name}")
    return {group: found[group] for group in (*GROUPS, OTHER) if group in found}


def _public() -> Iterator[tuple[str, str]]:
    """(module without `merpo.`, name) of every public name but the version, from the stub of the package, by name."""
    stub = ast.parse(Path(merpo.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    rows = [(str(node.module), alias.name) for node in imports for alias in node.names if alias.name != "__version__"]
    yield from sorted(rows, key=lambda row: row[1])


def meaning(source: str) -> str:
    """The `description=` of an attribute's field, or else the comment behind it."""
    for node in ast.walk(ast.parse(textwrap.dedent(source))):
        if isinstance(node, ast.keyword) and node.arg == "description" and isinstance(node.value, ast.Constant):
            return str(node.value.value)
    comment = re.search(r"\s# (?!noqa|type:)(.+)$", source)
    return comment[1] if comment else ""


def _sections() -> Iterator[str]:
    for group, names in grouped().items():
        yield f"## {group}\n\n{GROUPS.get(group, '')}\n\n"
        yield from (f"::: {name}\n\n" for name in names)
