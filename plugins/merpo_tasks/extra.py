"""What the families of MuJoCo bodies need beyond merpo's own dependencies."""

from __future__ import annotations

import importlib.util

from merpo import MerpoError

__all__ = ["require_mujoco"]


def require_mujoco(family: str) -> None:
    """Raises `MerpoError` with what to install where MuJoCo is missing, or too old to step arrays of states."""
    if importlib.util.find_spec("mujoco") is None:
        raise MerpoError(f"tasks/{family} needs MuJoCo, which is not installed; pip install 'merpo[mujoco]'")
    if importlib.util.find_spec("mujoco.batch") is None:
        raise MerpoError(f"tasks/{family} needs a newer MuJoCo, with mujoco.batch; pip install -U 'merpo[mujoco]'")
