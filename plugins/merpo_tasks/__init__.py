"""Task families that ship with merpo."""

from __future__ import annotations

from collections.abc import Sequence

from merpo import Component, hookimpl
from merpo_tasks.logs import Logs
from merpo_tasks.point_robot_wind import PointRobotWind

__all__ = ["Logs", "PointRobotWind"]

MERPO_API = 1


@hookimpl
def merpo_components() -> Sequence[type[Component]]:
    """Point-Robot-Wind, and logs without environments."""
    return [Logs, PointRobotWind]
