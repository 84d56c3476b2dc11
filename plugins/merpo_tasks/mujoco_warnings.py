"""Where MuJoCo's warnings go."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import mujoco

__all__ = ["logged_warnings"]


@contextmanager
def logged_warnings() -> Iterator[None]:
    """MuJoCo's warnings go to Python's log, not to the terminal and to `MUJOCO_LOG.TXT` in the current folder."""
    before = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(logging.getLogger(__name__).info)
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(before)
