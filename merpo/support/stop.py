"""Graceful stop on SIGINT and SIGTERM: the first signal stops at the next step, the second at once."""

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

_requested = threading.Event()  # of the process, as signals are


def requested() -> bool:
    """Whether this process has received a signal to stop."""
    return _requested.is_set()


def check() -> None:
    """Raise `StoppedError` if a signal to stop was received; call it where no work would be lost."""
    if requested():
        raise StoppedError("stopped by a signal")


@contextmanager
def graceful() -> Iterator[None]:
    """Handle SIGINT and SIGTERM inside the block: the first requests a stop, a second one exits with 128 + its number.

    Only the main thread can handle signals; in another thread this does nothing.
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
        _requested.clear()


def _handle(number: int, frame: FrameType | None) -> None:
    if _requested.is_set():
        os._exit(128 + number)
    _requested.set()
    os.write(2, b"\nstopping after this step; a second signal stops at once\n")  # print may be what was interrupted
