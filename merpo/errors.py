"""Exceptions of the library; the command line prints them without a traceback and exits with their `exit_code`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "ArtifactError",
    "DatasetError",
    "MerpoError",
    "PluginError",
    "RecipeError",
    "StoppedError",
    "TrainingError",
    "nearest",
]


class MerpoError(Exception):
    """Base class of errors that a user can fix. The message names the place, the value found and the expected one."""

    exit_code = 2


class RecipeError(MerpoError):
    """An invalid recipe, override or component field."""


class DatasetError(MerpoError):
    """A dataset that is missing, damaged, or does not fit the others; `at` is the wrong array and row."""

    def __init__(self, message: str, at: tuple[str, int] | None = None, column: int | None = None) -> None:
        super().__init__(message)
        self.at, self.column = at, column


class ArtifactError(MerpoError):
    """A saved artifact that is missing, damaged, or of another format."""


class PluginError(MerpoError):
    """A plugin that cannot be loaded, clashes with another, or breaks its interface."""


class TrainingError(MerpoError):
    """Training that cannot continue, such as after a loss that is not finite; `task` is the number of its task."""

    def __init__(self, message: str, task: int | None = None) -> None:
        super().__init__(message)
        self.task = task


class StoppedError(MerpoError):
    """A run that was stopped by a signal and can be resumed. The exit code is EX_TEMPFAIL of <sysexits.h>."""

    exit_code = 75


def nearest(word: str, choices: Iterable[str]) -> str:
    """` (did you mean 'x'?)` for the choice closest to `word`, or an empty string."""
    known = sorted(choices)
    same = [choice for choice in known if choice.casefold() == word.casefold() and choice != word]
    close = same or difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""
