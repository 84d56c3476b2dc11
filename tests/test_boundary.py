"""The boundary between the core and its plugins, read from the source, and what importing them costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import merpo

ROOT = Path(__file__).resolve().parent.parent
CORE = sorted((ROOT / "merpo").rglob("*.py"))
PLUGINS = sorted((ROOT / "plugins").rglob("*.py"))
EXAMPLE = ROOT / "docs" / "example_plugin"
OUTSIDE = sorted((EXAMPLE / "merpo_example").rglob("*.py"))
PACKAGES = sorted(path.parent.name for path in (ROOT / "plugins").glob("*/__init__.py"))
HEAVY = ("torch", "numpy", "gymnasium", "matplotlib", "mujoco")


def imports(source: str) -> Iterator[tuple[str, str]]:
    """(module, name) of every import in a source, also those inside functions; a plain import has no name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((("." * node.level) + (node.module or ""), alias.name) for alias in node.names)


def trespasses(source: str, own: str) -> list[str]:
    """What a plugin's source uses of merpo beyond its public names, or of another plugin."""
    attributes = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute))
    used = {node.attr for node in attributes if isinstance(node.value, ast.Name) and node.value.id == "merpo"}
    found = [f"merpo.{name}" for name in sorted(used - set(merpo.__all__))]
    for module, name in imports(source):
        top = module.partition(".")[0]
        public = (module == "merpo" and name in ("", *merpo.__all__)) or module == "merpo.lazy"
        other_plugin = top.startswith("merpo_") and top != own
        if (top == "merpo" and not public) or other_plugin or name == "*":
            found.append(f"{module}:{name}")
    return found


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: str(path.relative_to(ROOT / "plugins")))
def test_plugins_import_only_the_public_names(path: Path) -> None:
    assert trespasses(path.read_text(), path.relative_to(ROOT / "plugins").parts[0]) == []


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: path.name)
def test_the_example_plugin_imports_only_the_public_names(path: Path) -> None:
    assert trespasses(path.read_text(), "merpo_example") == []


def test_the_example_plugins_tests_need_nothing_more_than_merpo_testing() -> None:
    for path in EXAMPLE.glob("tests/*.py"):
        assert set(trespasses(path.read_text(), "merpo_example")) == {"merpo.testing:check_component"}


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.name)
def test_the_core_imports_no_plugin(path: Path) -> None:
    assert [module for module, _ in imports(path.read_text()) if module.startswith(("merpo_", "plugins"))] == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from merpo import Critic, hookimpl", []),
        ("from merpo.lazy import torch", []),
        ("from merpo_own.nets import x", []),
        ("from merpo.algorithm.rac import rac_step", ["merpo.algorithm.rac:rac_step"]),
        ("def f():\n    import merpo.data.store", ["merpo.data.store:"]),
        ("from merpo import registry", ["merpo:registry"]),
        ("import merpo\nmerpo.Critic", []),
        ("import merpo\nmerpo.registry.get('alpha', 'x')", ["merpo.registry"]),
        ("from merpo import *", ["merpo:*"]),
        ("from merpo_alpha import Fixed", ["merpo_alpha:Fixed"]),
    ],
)
def test_the_reader_of_imports_sees_trespasses(source: str, found: list[str]) -> None:
    assert trespasses(source, "merpo_own") == found


def test_every_public_name_is_there() -> None:
    for name in merpo.__all__:
        assert getattr(merpo, name) is not None


def test_there_is_something_to_read() -> None:
    assert {"merpo_alpha", "merpo_critics", "merpo_dynamics", "merpo_meta", "merpo_regularizers", "merpo_tasks"} <= set(
        PACKAGES
    )
    assert len(CORE) > 20
    assert len(OUTSIDE) >= 4


LIGHT = (
    "merpo",
    "merpo.cli.app",
    "merpo.pytest_plugin",
    "merpo.components.registry",
    "merpo.recipe.recipe",
    "merpo.components.schema",
)


@pytest.mark.parametrize("module", [*LIGHT, *PACKAGES])
def test_importing_leaves_heavy_modules_out(module: str) -> None:
    code = (
        f"import sys; sys.path[:0] = {[str(ROOT), str(ROOT / 'plugins')]!r}\n"
        f"import {module}\nprint([m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
