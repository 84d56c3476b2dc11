"""Recipes that ship with merpo can be extended by name, in a checkout and where a wheel was installed."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from merpo.errors import RecipeError
from merpo.recipe import shipped as module
from merpo.recipe.extends import read_tables
from merpo.recipe.recipe import load_recipe
from merpo.recipe.shipped import shipped

ROOT = Path(__file__).resolve().parents[2]


def test_every_recipe_ships() -> None:
    """A folder of recipes that pyproject.toml does not list would be missing in a wheel."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["data-files"]
    globs = {glob for globs in listed.values() for glob in globs}
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "recipes").rglob("*.toml")}
    assert globs == {f"{folder.as_posix()}/*.toml" for folder in folders}
    assert {Path(target).relative_to("share/merpo") for target in listed} == folders
    assert {"merpo", "merpo_adp", "table2/ant_fwd_back"} <= shipped().keys()


@pytest.mark.parametrize("name", ["merpo_adp", "ablations/alpha_0", "table2/point_robot_wind"])
def test_a_shipped_recipe_is_extended_by_its_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "mine.toml").write_text(f'extends = "{name}"\ntitle = "Mine"\n')
    own, base = load_recipe(tmp_path / "mine.toml"), load_recipe(shipped()[name])
    assert own.title == "Mine"
    assert own.method == base.method


@pytest.mark.parametrize(("name", "hint"), [("merpo_adb", "merpo_adp"), ("table2/ant_fwd", "table2/ant_fwd_back")])
def test_a_name_that_is_nearly_right_is_answered_with_the_right_one(tmp_path: Path, name: str, hint: str) -> None:
    (tmp_path / "mine.toml").write_text(f'extends = "{name}"\n')
    with pytest.raises(RecipeError, match=rf"did you mean '{hint}'\?\), expected the relative path"):
        read_tables(tmp_path / "mine.toml")


def test_an_installed_environment_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "share" / "merpo" / "recipes"
    (folder / "table2").mkdir(parents=True)
    (folder / "merpo_adp.toml").write_text('title = "Here"\n')
    (folder / "table2" / "x.toml").write_text('extends = "../merpo_adp.toml"\n')
    monkeypatch.setattr(module, "__file__", str(tmp_path / "site" / "merpo" / "recipe" / "shipped.py"))
    monkeypatch.setattr("sysconfig.get_path", lambda name, scheme: str(tmp_path))
    assert set(shipped()) == {"merpo_adp", "table2/x"}
    (tmp_path / "mine.toml").write_text('extends = "table2/x"\nseed = 1\n')
    assert read_tables(tmp_path / "mine.toml") == {"title": "Here", "seed": 1}


@pytest.mark.slow
def test_a_wheel_has_them(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
        ".",
    ]
    subprocess.run(command, cwd=ROOT, check=True)
    (wheel,) = tmp_path.glob("merpo-*.whl")
    names = subprocess.run(
        [sys.executable, "-m", "zipfile", "-l", str(wheel)], capture_output=True, text=True, check=True
    )
    assert "data/share/merpo/recipes/table2/ant_fwd_back.toml" in names.stdout
