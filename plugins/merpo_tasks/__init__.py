"""Task families that ship with merpo."""

from __future__ import annotations

from collections.abc import Sequence

from merpo import Component, hookimpl
from merpo_tasks.ant_fwd_back import AntFwdBack
from merpo_tasks.half_cheetah_fwd_back import HalfCheetahFwdBack
from merpo_tasks.locomotion import Locomotion
from merpo_tasks.logs import Logs
from merpo_tasks.point_robot_wind import PointRobotWind
from merpo_tasks.sparse_point_robot import SparsePointRobot
from merpo_tasks.walker_2d_params import Walker2DParams

__all__ = [
    "AntFwdBack",
    "HalfCheetahFwdBack",
    "Locomotion",
    "Logs",
    "PointRobotWind",
    "SparsePointRobot",
    "Walker2DParams",
]

MERPO_API = 2


@hookimpl
def merpo_components() -> Sequence[type[Component]]:
    """The paper's task families, D4RL's locomotion tasks, and logs without environments."""
    return [AntFwdBack, HalfCheetahFwdBack, Locomotion, Logs, PointRobotWind, SparsePointRobot, Walker2DParams]
