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
    numbers = f"{_in_order(units.observations)}{_less(units.subtracted)}" if units is not None else ""
    found = {
        OBSERVATION: f"float32 [batch, {one.observation_dim}]: the environment's own observations"
        f"{numbers}{normalized}{guard}",
        ACTION: f"float32 [batch, {one.action_dim}]: the deterministic actions, in [-1, 1]",
    }
    if units is not None:
        low, high = json.dumps(units.action_low), json.dumps(units.action_high)
        found[IN_UNITS] = (
            f"float32 [batch, {one.action_dim}]: the same actions in the units of the data, from {low} to {high}"
            f"{_in_order(units.actions)}"
        )
    return found


def _less(subtracted: Sequence[float]) -> str:
    """The numbers that observations lack, as those of the data do."""
    if not subtracted:
        return ""
    return f", minus {json.dumps(subtracted[:MAX_NAMES])}{', …' * (len(subtracted) > MAX_NAMES)} as in the data"


def _in_order(names: Sequence[str]) -> str:
    """The names of columns, in order."""
    if not names:
        return ""
    return f", in the order {json.dumps(names[:MAX_NAMES])}{', …' * (len(names) > MAX_NAMES)}"
