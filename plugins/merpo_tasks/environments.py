"""The earlier name of `gym_ids`, so that `gymnasium.make("merpo_tasks.environments:merpo/…-v0")` still works."""

from __future__ import annotations

from merpo_tasks.gym_ids import IDS

__all__ = ["IDS"]
