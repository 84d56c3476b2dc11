"""Policy regularizers that ship with merpo."""

from __future__ import annotations

from collections.abc import Sequence

from merpo import Component, hookimpl
from merpo_regularizers.kl import KL
from merpo_regularizers.tv import TotalVariation

__all__ = ["KL", "TotalVariation"]

MERPO_API = 2


@hookimpl
def merpo_components() -> Sequence[type[Component]]:
    """KL divergence (Eq. (9)) and maximum total variation (Theorem 1)."""
    return [KL, TotalVariation]
