"""Checks of arguments and of optional dependencies."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from merpo import MerpoError, nearest

__all__ = ["require_choice", "require_mujoco"]


def require_choice(argument: str, got: object, choices: Sequence[object]) -> None:
    """Raise `MerpoError` with the nearest choice unless `got` is one of `choices`."""
    if got not in choices:
        known = [str(choice) for choice in choices]
        hint = nearest(str(got)[:60], known)
        raise MerpoError(f"{argument}: got {got!r:.60}{hint}, expected one of: {', '.join(known)}")


def require_mujoco(family: str) -> None:
    """Raise `MerpoError` with the command to install MuJoCo if it is missing or has no `mujoco.batch`."""
    if importlib.util.find_spec("mujoco") is None:
        raise MerpoError(f"tasks/{family} needs MuJoCo, which is not installed; pip install 'merpo[mujoco]'")
    if importlib.util.find_spec("mujoco.batch") is None:
        raise MerpoError(f"tasks/{family} needs a newer MuJoCo, with mujoco.batch; pip install -U 'merpo[mujoco]'")
