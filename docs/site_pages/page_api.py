"""The reference of the library: every public name, in groups, rendered from its docstring and signature."""

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
    "Interfaces": "The kinds of component: what a plugin implements.",
    "Methods and their surroundings": "What a method is given, and what it gives back.",
    "Data": "Tasks and their transitions.",
    "Recipes and runs": "From a file to a report.",
    "The stages of MerPO": "The paper's algorithms as functions, for methods that compose them in another way.",
    "Networks and arithmetic": "Parameters are dicts of tensors whose leading dims say whose they are.",
    "Knobs": "Sections of recipes.",
    "Plugins": "What a plugin's module needs.",
}

# The module that defines a name, or its package -> the group that the name belongs to.
PLACES = {
    "algorithm": "The stages of MerPO",
    "algorithm.settings": "Knobs",
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
OTHER = "More"  # names of modules that are in no group

HEAD = """# Library reference

Every name that `import merpo` offers: all that a plugin may use, beside `merpo.lazy` and, in tests, `merpo.testing`.
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
