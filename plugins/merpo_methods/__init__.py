"""Methods that ship with merpo."""

from __future__ import annotations

from collections.abc import Sequence

from merpo import Component, hookimpl
from merpo_methods.merpo import MerPO
from merpo_methods.single import Single

__all__ = ["MerPO", "Single"]

MERPO_API = 2


@hookimpl
def merpo_components() -> Sequence[type[Component]]:
    """MerPO, and RAC on single tasks; their fields select every ablation."""
    return [MerPO, Single]
