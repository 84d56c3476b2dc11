"""Commands as local processes, a few at a time, that are stopped cleanly when their parent is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from merpo.errors import MerpoError

__all__ = ["Command", "Ended", "run_commands"]

POLL = 0.1  # seconds
GRACE = 20.0  # seconds in which a process may finish what it writes, before it is killed


class Command(NamedTuple):
    """What to run, and the file that gets all it prints."""

    arguments: tuple[str, ...]
    log: Path


class Ended(NamedTuple):
    """A command that came to its end; a negative exit code is the signal that killed it."""

    which: int
    exit_code: int
    seconds: float


class _Running(NamedTuple):
    which: int
    process: subprocess.Popen[bytes]
    began: float


def run_commands(
    commands: Sequence[Command], jobs: int, environment: Mapping[str, str], ended: Callable[[Ended], None]
) -> None:
    """Run all commands, at most `jobs` at a time; `ended` is told of each, and a failure stops none of the others.

    On Ctrl-C or SIGTERM every process is interrupted, given time to end, then killed; `KeyboardInterrupt` is raised.
    """
    waiting = list(enumerate(commands))[::-1]
    running: list[_Running] = []
    with _terminable():
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    which, command = waiting.pop()
                    running.append(_Running(which, _start(command, environment), time.monotonic()))
                time.sleep(POLL)
                for one in [one for one in running if one.process.poll() is not None]:
                    running.remove(one)
                    ended(Ended(one.which, one.process.returncode, time.monotonic() - one.began))
        finally:
            _stop([one.process for one in running])


def _start(command: Command, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """A process in a group of its own, so that Ctrl-C reaches it through us alone."""
    try:
        command.log.parent.mkdir(parents=True, exist_ok=True)
        with command.log.open("wb") as log:
            return subprocess.Popen(  # noqa: S603 - merpo itself, with arguments as a list
                command.arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                start_new_session=True,
            )
    except OSError as error:
        raise MerpoError(f"{command.log}: cannot be written: {error.strerror or error}") from error


def _stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Interrupt all, wait for all, kill what is left."""
    for process in processes:
        process.send_signal(signal.SIGINT if sys.platform != "win32" else signal.SIGTERM)
    until = time.monotonic() + GRACE
    for process in processes:
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM as Ctrl-C inside the block; only the main thread can have it so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
