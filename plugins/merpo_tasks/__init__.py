"""Task families that ship with merpo."""

from __future__ import annotations

from collections.abc import Sequence

from merpo import Component, hookimpl
from merpo_tasks.half_cheetah_fwd_back import HalfCheetahFwdBack
from merpo_tasks.logs import Logs
from merpo_tasks.point_robot_wind import PointRobotWind

__all__ = ["HalfCheetahFwdBack", "Logs", "PointRobotWind"]

MERPO_API = 1


@hookimpl
def merpo_components() -> Sequence[type[Component]]:
    """The paper's families, and logs without environments."""
    return [HalfCheetahFwdBack, Logs, PointRobotWind]
