"""An example of a merpo plugin: a scheduler of α, a regularizer, and a whole method."""

from __future__ import annotations

from collections.abc import Sequence

from merpo import Component, hookimpl
from merpo_example.halving import Halving
from merpo_example.jeffreys import Jeffreys
from merpo_example.reptile_awr import ReptileAWR

__all__ = ["Halving", "Jeffreys", "ReptileAWR"]

MERPO_API = 1


@hookimpl
def merpo_components() -> Sequence[type[Component]]:
    """What this package brings."""
    return [Halving, Jeffreys, ReptileAWR]
