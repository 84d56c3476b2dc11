"""`merpo new-plugin`: a package that is whole, keeps to the public names, and passes its own tests once installed."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from boundary import EXAMPLE, trespasses
from hypothesis import given
from hypothesis import strategies as st
from plugin_wheels import wheel_of
from wheels import unpack

import merpo
from merpo.cli import plugins as module
from merpo.cli.plugins import TEMPLATES, new_plugin
from merpo.errors import MerpoError, PluginError
from merpo.testing.runner import MerpoRunner

KINDS = list(TEMPLATES)


@pytest.mark.parametrize("kind", KINDS)
def test_a_package_is_whole_and_keeps_to_the_public_names(tmp_path: Path, kind: str) -> None:
    folder = new_plugin("merpo-try-it", kind, tmp_path)
    assert folder == tmp_path / "merpo-try-it"
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    extra = {"merpo_try_it/environment.py"} if kind == "tasks" else set()
    assert found - extra == {
        "README.md", "pyproject.toml", "recipe.toml", "merpo_try_it/__init__.py", "merpo_try_it/py.typed",
        "merpo_try_it/try_it.py", "tests/test_merpo_try_it.py",
    }  # fmt: skip
    for path in (folder / "merpo_try_it").glob("*.py"):
        assert trespasses(path.read_text("utf-8"), "merpo_try_it") == []
        assert ast.get_docstring(ast.parse(path.read_text("utf-8")))
    assert all("$" not in path.read_text("utf-8") for path in folder.rglob("*") if path.is_file())
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["name"] == "merpo-try-it"
    assert project["dependencies"] == [f"merpo>={merpo.__version__}"]
    assert tomllib.loads((folder / "recipe.toml").read_text("utf-8"))["requires"] == ["merpo-try-it"]


def test_packages_pass_their_own_tests_once_installed(tmp_path: Path) -> None:
    """The example plugin and a fresh package of each kind side by side. `nox -s plugin` has the runs left out here."""
    site = tmp_path / "site"
    site.mkdir()
    projects = [
        EXAMPLE,
        *(new_plugin(f"merpo-own-{kind.replace('_', '-')}", kind, tmp_path / "made") for kind in KINDS),
    ]
    for project in projects:
        unpack(wheel_of(project, tmp_path), site)
    path = os.pathsep.join([str(site), *(entry for entry in sys.path if entry)])
    switches = {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_ADDOPTS": ""}
    environment = {key: value for key, value in os.environ.items() if key != "MERPO_LOAD_PLUGINS"}
    options = ["-q", "-c", os.devnull, "-p", "no:cacheprovider", "-W", "error", "--import-mode=importlib"]
    options += ["-k", "not test_a_run or reptile"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *(str(project / "tests") for project in projects)],
        cwd=tmp_path, env=environment | switches, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    passed = int(done.stdout.split(" passed")[0].split()[-1])
    assert passed == 7 + 2 * len(KINDS) + 1, done.stdout


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("My_Clone", "did you mean 'my-clone'?"),
        ("", "expected lower-case letters"),
        ("-x", "did you mean 'x'?"),
        ("a--b", "did you mean 'a-b'?"),
        ("../evil", "did you mean 'evil'?"),
        ("a/b", "did you mean 'a-b'?"),
        ("ä", "expected lower-case letters"),
        ("x" * 51, "at most 50 long"),
        ("merpo-", "did you mean 'merpo'?"),
        ("merpo-3d", "no name of a Python class"),
        ("class", "no name of a Python class"),
        ("merpo-import", "no name of a Python class"),
        ("json", "module 'json' is installed already"),
        ("merpo-alpha", "module 'merpo_alpha' is installed already"),
        ("adaptive", "alpha 'adaptive' is installed already"),
        ("merpo-adaptive", "alpha 'adaptive' is installed already"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused(tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(PluginError) as error:
        new_plugin(name, "alpha", tmp_path / "into")
    assert says in str(error.value)
    assert list(tmp_path.iterdir()) == []


@given(name=st.text(max_size=60) | st.from_regex(r"\A(merpo-)?[a-z0-9-]{1,30}\Z"), kind=st.sampled_from(KINDS))
def test_any_name_gives_sources_that_compile_or_is_refused(name: str, kind: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            made = new_plugin(name, kind, Path(folder))
        except PluginError as error:
            assert str(error).isprintable()
            assert list(Path(folder).iterdir()) == []
            return
        assert [path.name for path in Path(folder).iterdir()] == [name] == [made.name]
        for path in made.rglob("*.py"):
            ast.parse(path.read_text("utf-8"))
        for path in made.glob("*.toml"):
            tomllib.loads(path.read_text("utf-8"))


def test_a_kind_without_a_template_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(
        PluginError,
        match=r"alpha, regularizer, method, tasks, critic, dynamics, meta_learner .*did you mean 'regularizer'",
    ):
        new_plugin("merpo-x", "regulariser", tmp_path)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    new_plugin("merpo-mine", "alpha", tmp_path)
    (tmp_path / "merpo-mine" / "README.md").write_text("mine")
    with pytest.raises(PluginError, match="exists already; nothing is overwritten"):
        new_plugin("merpo-mine", "method", tmp_path)
    assert (tmp_path / "merpo-mine" / "README.md").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["merpo-mine"]


def test_cut_short_it_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left, write = [3], module.atomic_write_text

    def fail_at_the_third(path: Path, text: str) -> None:
        left[0] -= 1
        if not left[0]:
            raise MerpoError(f"{path}: cannot be written: disk full")
        write(path, text)

    monkeypatch.setattr(module, "atomic_write_text", fail_at_the_third)
    with pytest.raises(MerpoError, match="disk full"):
        new_plugin("merpo-mine", "alpha", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_comes_next(merpo_runner: MerpoRunner) -> None:
    answer = merpo_runner("new-plugin", "merpo-mine", "--kind", "method", "--into", "plugins")
    assert answer.code == 0, answer.err
    assert "cd plugins/merpo-mine" in answer.out
    assert (Path("plugins") / "merpo-mine" / "pyproject.toml").exists()
    shown = merpo_runner("new-plugin", "--help").out
    assert all(kind in shown for kind in KINDS)
    wrong = merpo_runner("new-plugin", "Mine")
    assert (wrong.code, wrong.out) == (2, "")
    assert wrong.err.startswith("error: NAME: got 'Mine'")


@pytest.mark.parametrize("kind", KINDS)
def test_the_recipe_of_a_package_is_valid_once_it_is_installed(
    install: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    from merpo.components import registry
    from merpo.recipe.recipe import load_recipe

    folder = new_plugin("merpo-own", kind, tmp_path)
    modules = {f"merpo_own/{path.stem}": path.read_text("utf-8") for path in (folder / "merpo_own").glob("*.py")}
    install("merpo-own", modules, version="0.1.0", entry_points="[merpo]\nmerpo_own = merpo_own\n")
    monkeypatch.setenv("MERPO_LOAD_PLUGINS", "merpo,merpo-own")
    registry.refresh()
    assert "own" in registry.names(kind)
    assert "own" in str(load_recipe(folder / "recipe.toml").model_dump())
