"""Graceful stop on SIGINT, SIGTERM and SIGHUP: the first signal stops at the next step, the second at once.

Before anything is begun, when there is no step to finish, the first stops at once.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from merpo.errors import StoppedError

__all__ = ["at_once", "check", "forget", "graceful", "handled", "interruptible", "request", "requested"]

HANGUP: tuple[signal.Signals, ...] = tuple(one for one in signal.Signals if one.name == "SIGHUP")  # none on Windows
SIGNALS = (signal.SIGINT, signal.SIGTERM, *HANGUP)

_requested = threading.Event()  # of the process, as signals are


def requested() -> bool:
    """Whether this process has received a signal to stop."""
    return _requested.is_set()


def request() -> None:
    """Ask the process to stop as a signal does: whoever read its output has gone."""
    _requested.set()


def forget() -> None:
    """Take back what was requested, at the end of a command."""
    _requested.clear()


def check() -> None:
    """Raise `StoppedError` if a signal to stop was received; call it where no work would be lost."""
    if requested():
        raise StoppedError("stopped by a signal")


@contextmanager
def at_once() -> Iterator[None]:
    """End the process on a signal to stop inside the block, with the exit code of a run that can go on.

    For what comes before `graceful`, such as imports, which do not survive an exception at any place.
    """
    with handled(_leave):
        yield


@contextmanager
def interruptible(code: int) -> Iterator[None]:
    """Inside the block Ctrl-C raises `KeyboardInterrupt`, but ends the process with `code` while something is imported.

    An import does not survive an exception at any place: it may be lost there, or come out as another one.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # ignored, or handled by whoever calls
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        while frame is not None:
            if frame.f_code.co_filename.startswith("<frozen importlib"):
                os._exit(code)
            frame = frame.f_back
        raise KeyboardInterrupt

    with handled(interrupt, (signal.SIGINT,)):
        yield


@contextmanager
def graceful() -> Iterator[None]:
    """Handle signals to stop inside the block: the first requests a stop, a second one exits with 128 + its number.

    Only the main thread can handle signals; in another thread this does nothing.
    """
    with handled(_handle):
        try:
            yield
        finally:
            _requested.clear()


@contextmanager
def handled(
    handler: Callable[[int, FrameType | None], None], signals: Iterable[signal.Signals] = SIGNALS
) -> Iterator[None]:
    """Call the handler on signals to stop inside the block, but on SIGHUP not where it is ignored, as under `nohup`.

    Only the main thread can handle signals; in another thread this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ignored = {number for number in HANGUP if signal.getsignal(number) == signal.SIG_IGN}
    before = {number: signal.signal(number, handler) for number in signals if number not in ignored}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _leave(number: int, frame: FrameType | None) -> None:
    _tell(b"stopped by a signal; run the same command to go on\n")
    os._exit(StoppedError.exit_code)


def _handle(number: int, frame: FrameType | None) -> None:
    if _requested.is_set():
        os._exit(128 + number)
    _requested.set()
    _tell(b"\nstopping after this step; a second signal stops at once\n")


def _tell(text: bytes) -> None:
    """Write to standard error, if somebody still reads it; print may be what was interrupted."""
    with suppress(OSError):
        os.write(2, text)
