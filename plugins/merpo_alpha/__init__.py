"""α schedulers that ship with merpo."""

from __future__ import annotations

from collections.abc import Sequence

from merpo import Component, hookimpl
from merpo_alpha.schedulers import Adaptive, Fixed, Relative

__all__ = ["Adaptive", "Fixed", "Relative"]

MERPO_API = 2


@hookimpl
def merpo_components() -> Sequence[type[Component]]:
    """Fixed α (MerPO), adaptive α (MerPO-Adp, Eq. (11)), and one that moves by the relative difference."""
    return [Fixed, Adaptive, Relative]
