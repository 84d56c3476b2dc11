"""Critics that ship with merpo."""

from __future__ import annotations

from collections.abc import Sequence

from merpo import Component, hookimpl
from merpo_critics.conservative import Conservative

__all__ = ["Conservative"]

MERPO_API = 2


@hookimpl
def merpo_components() -> Sequence[type[Component]]:
    """The conservative twin critic."""
    return [Conservative]
