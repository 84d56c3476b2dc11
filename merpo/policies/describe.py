"""What goes into an exported policy and what comes out, in words: for its metadata and for the README beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from merpo.policies.onnx_names import ACTION, IN_UNITS, OBSERVATION
from merpo.policies.saved import SavedPolicies

__all__ = ["described"]

MAX_NAMES = 100  # of columns that are listed


def described(one: SavedPolicies, allow_non_finite: bool = False) -> dict[str, str]:
    """The input and the outputs of one task's policy, by name; without units where they are not known."""
    units = one.tasks[0].units
    normalized = "; they are normalised inside" if one.normalization else ""
    guard = "" if allow_non_finite else "; finite numbers: of a row with another one every action is NaN"
    found = {
        OBSERVATION: f"float32 [batch, {one.observation_dim}]: the environment's own observations"
        f"{_in_order(units.observations if units else ())}{normalized}{guard}",
        ACTION: f"float32 [batch, {one.action_dim}]: the deterministic actions, in [-1, 1]",
    }
    if units is not None:
        low, high = json.dumps(units.action_low), json.dumps(units.action_high)
        found[IN_UNITS] = (
            f"float32 [batch, {one.action_dim}]: the same actions in the units of the data, from {low} to {high}"
            f"{_in_order(units.actions)}"
        )
    return found


def _in_order(names: Sequence[str]) -> str:
    """The names of columns, in order."""
    if not names:
        return ""
    return f", in the order {json.dumps(names[:MAX_NAMES])}{', …' * (len(names) > MAX_NAMES)}"
