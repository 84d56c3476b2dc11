"""Commands as processes, through any `concurrent.futures.Executor`; local ones are stopped with their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, as_completed, wait
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from merpo.errors import MerpoError
from merpo.support import stop

__all__ = ["Command", "Ended", "run_command", "run_commands"]

POLL = 0.1  # seconds
GRACE = 20.0  # seconds in which a process may finish what it writes, before it is killed


class Command(NamedTuple):
    """The arguments of a process, and the file that gets its output."""

    arguments: tuple[str, ...]
    log: Path


class Ended(NamedTuple):
    """The end of a command; a negative exit code is the signal that killed it, None means an executor's `error`."""

    exit_code: int | None
    seconds: float
    error: str = ""


def run_commands(
    commands: Sequence[Command],
    jobs: int,
    environment: Mapping[str, str],
    ended: Callable[[int, Ended], None],
    executor: Executor | None = None,
) -> None:
    """Run all commands and call `ended` with the index and the end of each; a failure stops none of the others.

    Without an executor, at most `jobs` run at a time on this machine. On Ctrl-C or SIGTERM, commands that wait are
    cancelled, every local process is interrupted, given time to end, then killed; `KeyboardInterrupt` is raised.
    """
    with _terminable():
        if executor is not None:
            _run_all([partial(run_command, command, environment) for command in commands], executor, ended)
            return
        running: list[subprocess.Popen[bytes]] = []
        runs = [partial(run_command, command, environment, running.append) for command in commands]
        with ThreadPoolExecutor(jobs) as threads:
            _run_all(runs, threads, ended, lambda: _stop(running))


def _run_all(
    runs: Sequence[Callable[[], Ended]],
    executor: Executor,
    ended: Callable[[int, Ended], None],
    stop: Callable[[], None] | None = None,
) -> None:
    """Submit all `runs`. If interrupted, cancel those that wait, and call `stop` until the others are done."""
    futures: list[Future[Ended]] = []
    try:
        futures += map(executor.submit, runs)
        which = {future: i for i, future in enumerate(futures)}
        for future in as_completed(futures):
            ended(which[future], _result(future))
    finally:
        begun = [future for future in futures if not future.cancel()]
        while stop is not None and wait(begun, timeout=0).not_done:
            stop()
            wait(begun, timeout=POLL)  # one may have been about to start its process


def _result(future: Future[Ended]) -> Ended:
    try:
        return future.result()
    except MerpoError:
        raise
    except Exception as error:  # noqa: BLE001 - an executor's own, such as a worker that died
        return Ended(None, 0.0, f"{type(error).__name__}: {error!s:.200}")


def run_command(
    command: Command,
    environment: Mapping[str, str],
    started: Callable[[subprocess.Popen[bytes]], None] = lambda process: None,
) -> Ended:
    """Run one command to its end; picklable, as executors submit it."""
    began = time.monotonic()
    process = _start(command, environment)
    started(process)
    with _terminable():  # in a worker process, whose main thread this is
        try:
            exit_code = process.wait()
        finally:
            _stop([process])
    return Ended(exit_code, time.monotonic() - began)


def _start(command: Command, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """A process in a group of its own, so that Ctrl-C does not reach it directly."""
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
    """Interrupt all that run, wait for them, kill what is left; a second interruption kills at once."""
    running = [process for process in processes if process.poll() is None]
    try:
        for process in running:
            process.send_signal(signal.SIGINT if sys.platform != "win32" else signal.SIGTERM)
        until = time.monotonic() + GRACE
        for process in running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, until - time.monotonic()))
    finally:
        for process in running:
            process.kill()
            process.wait()


@contextmanager
def _terminable() -> Iterator[None]:
    """Signals to stop raise `KeyboardInterrupt` inside the block."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with stop.handled(interrupt):
        yield
