"""Where MuJoCo's warnings go, and those that mean a simulation is lost."""

from __future__ import annotations

import logging
from typing import Any, final

import mujoco
import numpy as np
from numpy.typing import NDArray

__all__ = ["logged_warnings", "unstable"]

LOG = logging.getLogger("merpo_tasks.mujoco").info
KINDS = mujoco.mjtWarning
LOST = [int(kind) for kind in (KINDS.mjWARN_BADQPOS, KINDS.mjWARN_BADQVEL, KINDS.mjWARN_BADQACC)]


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


def unstable(counts: NDArray[Any]) -> NDArray[np.bool_]:
    """Where a position, speed or acceleration became NaN or huge since a reset: counts of warnings [..., 7] -> [...].

    MuJoCo then puts the body back to its model's first state and goes on, as if nothing had happened.
    """
    return np.asarray(counts[..., LOST].any(-1))
