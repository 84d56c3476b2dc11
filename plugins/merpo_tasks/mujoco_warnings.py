"""Where MuJoCo's warnings go."""

from __future__ import annotations

import logging
from typing import Any, final

import mujoco

__all__ = ["logged_warnings"]

LOG = logging.getLogger("merpo_tasks.mujoco").info


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
