"""What every command runs in: its output is its own, and neither a plugin nor a signal ends it without a word."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from merpo.errors import PluginError

__all__ = ["guarded"]

P = ParamSpec("P")
R = TypeVar("R")


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """The command, in which `print` writes to standard error and `SystemExit` is an error of whoever raised it."""

    @functools.wraps(command)
    def run(*arguments: P.args, **options: P.kwargs) -> R:
        with contextlib.redirect_stdout(sys.stderr):
            try:
                return command(*arguments, **options)
            except SystemExit as error:
                raise PluginError(
                    f"a plugin or library tried to end merpo (SystemExit: {error.code!s:.80}); --debug shows which one"
                ) from error

    return run
