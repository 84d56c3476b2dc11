"""A finished run of the tiny recipe, made once for a module's tests, which only read it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tiny import tiny_recipe

from merpo.run import run_recipe


def finished_run(store: Path, path: Path, changes: Mapping[str, Any] | None = None) -> Path:
    """The folder of a run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MERPO_DATA", str(store))
        return run_recipe(tiny_recipe(changes), path, [0], None, True)
