"""Recipes on logs without environments."""

from __future__ import annotations

from typing import Any

from tiny import tables

__all__ = ["DATA", "logs_tables"]

DATA = {"train": ["store:pumps"], "test": ["store:new/pump-0", "store:new/pump-1"]}


def logs_tables(changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """The tiny recipe's tables on logs: the training tasks of `store:pumps`, and two unseen ones."""
    made = tables(changes)
    made["tasks"] = {"component": "logs", "observation_dim": 2, "action_dim": 1}
    made["data"] = {**DATA, **(changes or {}).get("data", {})}
    return made
