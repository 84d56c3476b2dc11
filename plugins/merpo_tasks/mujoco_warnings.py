"""Where MuJoCo's warnings go, and those that mean a simulation is lost."""

from __future__ import annotations

import logging
from typing import Any, final

import mujoco

__all__ = ["UNSTABLE", "logged_warnings"]

LOG = logging.getLogger("merpo_tasks.mujoco").info
# Among the counts of warnings since a reset, three neighbours: a position, speed or acceleration became NaN or huge.
# MuJoCo then puts the body back to its model's first state and goes on, as if nothing had happened.
UNSTABLE = slice(int(mujoco.mjtWarning.mjWARN_BADQPOS), int(mujoco.mjtWarning.mjWARN_BADQACC) + 1)


@final
class logged_warnings:  # noqa: N801
    """MuJoCo's warnings go to Python's log, not to the terminal and to `MUJOCO_LOG.TXT` in the current folder.

    A class, as one made from a generator would cost a tenth of a half cheetah's step.
    """

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        self._before = mujoco.get_mju_user_warning()
        mujoco.set_mju_user_warning(LOG)

    def __exit__(self, *_: Any) -> None:
        mujoco.set_mju_user_warning(self._before)
