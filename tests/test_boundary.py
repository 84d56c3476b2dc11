"""The boundary between the core and its plugins, read from the source, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from boundary import EXAMPLE, ROOT, imports, trespasses

import merpo

CORE = sorted((ROOT / "merpo").rglob("*.py"))
PLUGINS = sorted((ROOT / "plugins").rglob("*.py"))
OUTSIDE = sorted((EXAMPLE / "merpo_example").rglob("*.py"))
PACKAGES = sorted(path.parent.name for path in (ROOT / "plugins").glob("*/__init__.py"))
HEAVY = ("torch", "numpy", "gymnasium", "jinja2", "matplotlib", "mujoco")


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


@pytest.mark.parametrize("path", [*CORE, *PLUGINS], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_private_module_of_another_package_is_imported(path: Path) -> None:
    modules = [module for module, _ in imports(path.read_text()) if module != "__future__"]
    private = [module for module in modules if any(part.startswith("_") for part in module.split("."))]
    assert [module for module in private if not module.startswith((".", "merpo"))] == []


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
