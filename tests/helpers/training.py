"""Settings and task family of a tiny collection."""

from __future__ import annotations

from typing import Any

from small import make

from merpo.recipe.sections import CollectSettings

__all__ = ["HORIZON", "SETTINGS", "family"]

SETTINGS = CollectSettings(steps=24, seed_steps=8, checkpoint_every=8, batch_size=8, hidden=(8,))

HORIZON = 5


def family() -> Any:
    """Point-Robot-Wind with a short horizon."""
    return make("tasks", "point-robot-wind", horizon=HORIZON)
