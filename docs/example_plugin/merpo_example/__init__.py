"""An example merpo plugin: an α scheduler, a regularizer and a method."""

from __future__ import annotations

from collections.abc import Sequence

from merpo import Component, hookimpl
from merpo_example.halving import Halving
from merpo_example.jeffreys import Jeffreys
from merpo_example.reptile_awr import ReptileAWR

__all__ = ["Halving", "Jeffreys", "ReptileAWR"]

MERPO_API = 2


@hookimpl
def merpo_components() -> Sequence[type[Component]]:
    """The components of this package."""
    return [Halving, Jeffreys, ReptileAWR]
