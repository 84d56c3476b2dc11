"""The entry point of `merpo`: exit codes, errors without tracebacks, and signals from the first moment on."""

from __future__ import annotations

import errno
import os
import re
import sys
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from merpo.errors import MerpoError, StoppedError
from merpo.support import stop

if TYPE_CHECKING:
    from merpo.cli.commands import app

__all__ = ["app", "main"]

RESUMABLE = ("adapt", "collect", "reproduce", "run", "sweep")  # commands that go on where they stopped
INTERRUPTED = 130  # exit code of other commands after Ctrl-C, as shells and Typer have it

# What a disk says that is full, may not be written, or is gone, wherever in a run it says so,
REFUSALS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO, errno.ESTALE, errno.ENOENT}
# of a path that is none,
REFUSALS |= {errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EPERM, errno.ELOOP}
# and of a machine without descriptors or memory for more.
SHORTAGES = {
    errno.EMFILE: "too many open files; raise the limit with `ulimit -n`",
    errno.ENFILE: "the machine has too many open files",
    errno.ENOMEM: "not enough memory",
}
RED = "\x1b[31m\x1b[1merror: \x1b[0m"
LONGEST = 200  # characters of a path in a message, or of any other word, which may be twice as long


def __getattr__(name: str) -> Any:
    """The Typer app, which takes a moment to import."""
    if name == "app":
        from merpo.cli import commands

        return commands.app
    raise AttributeError(name)


def main() -> None:
    """Entry point of `merpo`: exit code 2 and a message for user errors, 75 for a stopped run that can resume."""
    resumable = next((word for word in sys.argv[1:] if not word.startswith("-")), "") in RESUMABLE
    with stop.at_once() if resumable else stop.interruptible(INTERRUPTED):
        try:
            code = _run()
        except KeyboardInterrupt:  # while something was imported
            code = INTERRUPTED
    sys.exit(code)


def _run() -> int:
    from merpo.support.machine import passive_waiting
    from merpo.support.terminal import own_stdout

    passive_waiting()
    with own_stdout():
        try:
            _app()()
        except SystemExit as ended:
            return int(ended.code or 0)
        except (MerpoError, OSError, MemoryError, RuntimeError) as error:
            if (told := _told(error)) is None:
                raise
            _report(error, told)
            return error.exit_code if isinstance(error, MerpoError) else MerpoError.exit_code
    return 0


def _app() -> Callable[[], object]:
    application: Callable[[], object] = globals().get("app") or __getattr__("app")
    return application


def _told(error: Exception) -> str | None:
    """What to say of an error that a user can mend; None for others, which are faults of a program."""
    if isinstance(error, MerpoError):
        return str(error)
    if isinstance(error, OSError):
        place = _shortened(str(error.filename)) if error.filename else "the disk"
        if error.errno in SHORTAGES:
            return f"{f'{place}: ' if error.filename else ''}{SHORTAGES[error.errno]}"
        return f"{place}: {error.strerror}" if error.errno in REFUSALS else None
    text = str(error)
    if isinstance(error, MemoryError) or "allocate memory" in text or type(error).__name__ == "OutOfMemoryError":
        return f"not enough memory ({text.splitlines()[0][:LONGEST] if text else 'MemoryError'})"
    return None


def _report(error: Exception, told: str) -> None:
    from merpo.support.terminal import say

    if "--debug" in sys.argv[1:]:
        traceback.print_exception(error)
        return
    if not isinstance(error, StoppedError):
        sys.stderr.write(RED if sys.stderr.isatty() and "NO_COLOR" not in os.environ else "error: ")
    say(re.sub(rf"\S{{{2 * LONGEST},}}", lambda word: _shortened(word[0]), told), err=True)


def _shortened(path: str) -> str:
    """A path, its middle left out if it is long."""
    return path if len(path) <= LONGEST else f"{path[: LONGEST // 2]}…{path[-LONGEST // 2 :]}"
