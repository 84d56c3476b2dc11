"""Meta-learners that ship with merpo."""

from __future__ import annotations

from collections.abc import Sequence

from merpo import Component, hookimpl
from merpo_meta.learners import MAML, Proximal, Reptile

__all__ = ["MAML", "Proximal", "Reptile"]

MERPO_API = 2


@hookimpl
def merpo_components() -> Sequence[type[Component]]:
    """Proximal (Eq. (3)), Reptile and MAML."""
    return [Proximal, Reptile, MAML]
