"""The former name of `gym_ids`, kept for `gymnasium.make("merpo_tasks.environments:merpo/…-v0")`."""

from __future__ import annotations

from merpo_tasks.gym_ids import IDS

__all__ = ["IDS"]
