"""Whole methods that ship with merpo."""

from __future__ import annotations

from collections.abc import Sequence

from merpo import Component, hookimpl
from merpo_methods.merpo import MerPO

__all__ = ["MerPO"]

MERPO_API = 1


@hookimpl
def merpo_components() -> Sequence[type[Component]]:
    """MerPO, and through its fields every ablation of it."""
    return [MerPO]
