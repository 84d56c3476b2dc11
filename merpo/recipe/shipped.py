"""The recipes that ship with merpo, by name: `merpo_adp`, or `table2/ant_fwd_back` within a folder."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path

__all__ = ["shipped"]

FOLDER = Path("share", "merpo", "recipes")  # below an environment's data folder, as pyproject.toml has it
MARK = "merpo_adp.toml"  # what makes a folder that of the recipes


def shipped() -> dict[str, Path]:
    """Name -> file of every recipe: of a checkout beside the package, else of the installed environment."""
    for folder in _folders():
        if (folder / MARK).is_file():
            found = sorted(folder.rglob("*.toml"))
            return {path.relative_to(folder).with_suffix("").as_posix(): path for path in found}
    return {}


def _folders() -> list[Path]:
    checkout = Path(__file__).resolve().parents[2] / "recipes"
    schemes = (sysconfig.get_default_scheme(), f"{os.name}_user")
    return [checkout, *(Path(sysconfig.get_path("data", scheme)) / FOLDER for scheme in schemes)]
