"""docs/equations.md: every equation lives in exactly one function, and the table names it."""

from __future__ import annotations

import ast
import importlib
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "equations.md").read_text("utf-8")
SOURCES = [*sorted((ROOT / "merpo").rglob("*.py")), *sorted((ROOT / "plugins").rglob("*.py"))]
ROWS = dict(re.findall(r"^\| Eq\. \((\d+)\) \| (?:`([\w.]+)`|–) \|", PAGE, re.MULTILINE))
NAMES = sorted(set(re.findall(r"`(merpo(?:_\w+)?(?:\.\w+)+)`", PAGE)))


def homes() -> dict[str, list[str]]:
    """Which functions' docstrings begin with `Eq. (N).`, by N, as dotted names."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in SOURCES:
        package = ROOT / "plugins" if "plugins" in path.relative_to(ROOT).parts else ROOT
        module = ".".join(path.relative_to(package).with_suffix("").parts)
        for name, docstring in functions(ast.parse(path.read_text("utf-8")), module):
            number = re.match(r"Eq\. \((\d+)\)\.", docstring)
            if number:
                found[number[1]].append(name)
    return found


def functions(tree: ast.AST, prefix: str) -> list[tuple[str, str]]:
    """(dotted name, docstring) of every function below a node."""
    found = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            name = f"{prefix}.{node.name}"
            if isinstance(node, ast.FunctionDef):
                found.append((name, ast.get_docstring(node) or ""))
            found += functions(node, name)
    return found


def resolve(name: str) -> Any:
    """What a dotted name means: the longest module, then attributes."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            thing: Any = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            thing = getattr(thing, part)
        return thing
    raise AssertionError(name)


HOMES = homes()


def test_the_table_has_all_equations() -> None:
    assert list(map(int, ROWS)) == list(range(1, 12))


@pytest.mark.parametrize("number", ROWS)
def test_an_equation_lives_in_the_one_function_that_the_table_names(number: str) -> None:
    assert HOMES[number] == ([ROWS[number]] if ROWS[number] else [])


def test_no_function_claims_an_equation_that_the_table_lacks() -> None:
    assert {number for number, names in HOMES.items() if names} <= set(ROWS)


@pytest.mark.parametrize("name", NAMES)
def test_every_function_in_the_tables_exists(name: str) -> None:
    assert callable(resolve(name))


def test_a_second_home_is_noticed() -> None:
    twice = 'class A:\n    def f(self):\n        """Eq. (7). x"""\ndef g():\n    """Eq. (7): y"""'
    assert functions(ast.parse(twice), "m") == [("m.A.f", "Eq. (7). x"), ("m.g", "Eq. (7): y")]
