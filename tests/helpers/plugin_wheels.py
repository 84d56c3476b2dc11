"""Wheels of scaffolded plugin packages."""

from __future__ import annotations

import tomllib
from pathlib import Path

from wheels import build_wheel

__all__ = ["wheel_of"]


def wheel_of(project: Path, folder: Path) -> Path:
    """Build the wheel of a package folder from its pyproject.toml; returns its path."""
    described = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))
    table, tool = described["project"], described["tool"]["setuptools"]
    paths = [path for package in tool.get("packages", []) for path in (project / package).glob("*.py")]
    paths += [project / f"{name}.py" for name in tool.get("py-modules", [])]
    modules = {str(path.relative_to(project).with_suffix("")): path.read_text("utf-8") for path in paths}
    points = "".join(f"{name} = {value}\n" for name, value in table["entry-points"]["merpo"].items())
    return build_wheel(folder, table["name"], modules, version=table["version"], entry_points=f"[merpo]\n{points}")
