"""`Simulation`: the environments of several tasks as functions of MuJoCo's state; and MuJoCo's warnings."""

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
# The warning counters for NaN or huge positions, velocities and accelerations since a reset, three adjacent ones.
# MuJoCo then silently resets the body to its model's initial state and continues.
UNSTABLE = slice(int(mujoco.mjtWarning.mjWARN_BADQPOS), int(mujoco.mjtWarning.mjWARN_BADQACC) + 1)


@final
@dataclass(frozen=True)
class Simulation:
    """The environments of T tasks; functions take arrays with leading dims [T, E]."""

    models: Sequence[mujoco.MjModel]  # one per task, equal except in parameter values, with controls in [-1, 1]
    frame_skip: int  # MuJoCo's steps per step
    horizon: int
    start: Callable[[mujoco.MjModel, np.random.Generator], tuple[Array, Array]]  # initial qpos [nq], qvel [nv]
    observe: Callable[[State], Array]  # -> [T, E, O]
    reward: Callable[[State, Array, State], Array]  # state before, actions [T, E, A], state after -> [T, E]
    ended: Callable[[State], NDArray[np.bool_]]  # -> [T, E]
    fields: tuple[str, ...] = ("qpos", "qvel")  # keys of a State; quantities that MuJoCo derives lag one substep behind


@final
class logged_warnings:  # noqa: N801
    """Context in which MuJoCo's warnings go to Python's log, not to the terminal and `MUJOCO_LOG.TXT`.

    A class, as a generator-based context manager would take a tenth of the time of a half cheetah's step.
    """

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        self._before = mujoco.get_mju_user_warning()
        mujoco.set_mju_user_warning(LOG)

    def __exit__(self, *_: Any) -> None:
        mujoco.set_mju_user_warning(self._before)
