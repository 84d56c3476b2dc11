"""Checks of arguments and of optional dependencies."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
from collections.abc import Sequence

from packaging.requirements import Requirement

from merpo import MerpoError, nearest

__all__ = ["require_choice", "require_mujoco"]

EXTRA = "merpo[mujoco]"
INSTALL = f"pip install -U '{EXTRA}'"
CHECKED = ("gymnasium", "mujoco")


def require_choice(argument: str, got: object, choices: Sequence[object]) -> None:
    """Raise `MerpoError` with the nearest choice unless `got` is one of `choices`."""
    if got not in choices:
        known = [str(choice) for choice in choices]
        hint = nearest(str(got)[:60], known)
        raise MerpoError(f"{argument}: got {got!r:.60}{hint}, expected one of: {', '.join(known)}")


def require_mujoco(family: str) -> None:
    """Raise `MerpoError` with what is wanted and how to install it if MuJoCo is missing, broken, or of no use here.

    Gymnasium's version is checked, too, as its environments are what MuJoCo's families are.
    """
    if importlib.util.find_spec("mujoco") is None:
        raise MerpoError(f"tasks/{family} needs MuJoCo, which is not installed; {INSTALL}")
    if problem := _version_problem():
        raise MerpoError(f"tasks/{family} needs {problem}; {INSTALL}")
    try:
        batch = importlib.util.find_spec("mujoco.batch")  # imports mujoco
    except (ImportError, OSError, AttributeError) as error:  # files of two versions, one installed over the other
        raise MerpoError(
            f"tasks/{family} needs MuJoCo, which is installed but cannot be imported ({error!s:.200}); "
            f"pip install --force-reinstall '{EXTRA}'"
        ) from error
    if batch is None:
        raise MerpoError(f"tasks/{family} needs a newer MuJoCo, with mujoco.batch; {INSTALL}")


@functools.cache
def _version_problem() -> str:
    """`mujoco<5,>=3.17, 3.3.0 is installed`, or an empty string: merpo's own requirements are what is wanted."""
    for text in importlib.metadata.requires("merpo") or ():
        requirement = Requirement(text)
        if requirement.name not in CHECKED or not requirement.specifier:
            continue
        installed = importlib.metadata.version(requirement.name)
        if not requirement.specifier.contains(installed, prereleases=True):
            return f"{requirement.name}{requirement.specifier}, {installed} is installed"
    return ""
