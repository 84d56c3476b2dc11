"""Dynamics learners that ship with merpo."""

from __future__ import annotations

from collections.abc import Sequence

from merpo import Component, hookimpl
from merpo_dynamics.ensemble import ProbabilisticEnsemble

__all__ = ["ProbabilisticEnsemble"]

MERPO_API = 2


@hookimpl
def merpo_components() -> Sequence[type[Component]]:
    """The probabilistic ensemble."""
    return [ProbabilisticEnsemble]
