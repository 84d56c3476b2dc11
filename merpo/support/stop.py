"""Signals that ask a run to stop: the first one waits for the next step, the second one does not."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from merpo.errors import StoppedError

__all__ = ["check", "graceful", "requested"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)

_asked = threading.Event()  # of the process, as signals are


def requested() -> bool:
    """Whether a signal has asked this process to stop."""
    return _asked.is_set()


def check() -> None:
    """Stop here, where nothing would be lost, if that was asked for: raises `StoppedError`."""
    if requested():
        raise StoppedError("stopped by a signal")


@contextmanager
def graceful() -> Iterator[None]:
    """Inside, SIGINT and SIGTERM ask to stop, and a second one ends the process at once, with 128 + its number.

    Signals are the main thread's affair; in another thread this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _handle) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _asked.clear()


def _handle(number: int, frame: FrameType | None) -> None:
    if _asked.is_set():
        os._exit(128 + number)
    _asked.set()
    os.write(2, b"\nstopping after this step; a second signal stops at once\n")  # print may be what was interrupted
