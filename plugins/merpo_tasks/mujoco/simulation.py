"""The environments of several tasks as functions of MuJoCo's state, and the warnings of a simulation that is lost."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, final

import mujoco
import numpy as np
from numpy.typing import NDArray

__all__ = ["UNSTABLE", "Array", "Simulation", "State", "logged_warnings"]

Array: TypeAlias = NDArray[np.floating[Any]]
State: TypeAlias = Mapping[str, Array]  # fields of MjData, each [*lead, ...]

LOG = logging.getLogger("merpo_tasks.mujoco").info
# Among the counts of warnings since a reset, three neighbours: a position, speed or acceleration became NaN or huge.
# MuJoCo then puts the body back to its model's first state and goes on, as if nothing had happened.
UNSTABLE = slice(int(mujoco.mjtWarning.mjWARN_BADQPOS), int(mujoco.mjtWarning.mjWARN_BADQACC) + 1)


@final
@dataclass(frozen=True)
class Simulation:
    """What the environments of T tasks are. The functions take arrays with leading dims [T, E]."""

    models: Sequence[mujoco.MjModel]  # one per task, alike but for their numbers, with controls in [-1, 1]
    frame_skip: int  # MuJoCo's steps in one step
    horizon: int
    start: Callable[[mujoco.MjModel, np.random.Generator], tuple[Array, Array]]  # one first state: qpos [nq], qvel [nv]
    observe: Callable[[State], Array]  # -> [T, E, O]
    reward: Callable[[State, Array, State], Array]  # state before, actions [T, E, A], state after -> [T, E]
    ended: Callable[[State], NDArray[np.bool_]]  # -> [T, E]
    fields: tuple[str, ...] = ("qpos", "qvel")  # what a State holds; what MuJoCo derives is one of its steps old


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
