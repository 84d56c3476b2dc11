"""The one tree of errors that leaves the library; the command line prints them without a traceback and exits with 2."""

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
    """Anything wrong that a user can mend. The message names the place, what was found and what was expected."""

    exit_code = 2


class RecipeError(MerpoError):
    """A recipe, an override or a component's field that is not valid."""


class DatasetError(MerpoError):
    """A dataset that is missing, damaged, or does not fit the others; `at` is the array and row that are wrong."""

    def __init__(self, message: str, at: tuple[str, int] | None = None) -> None:
        super().__init__(message)
        self.at = at


class ArtifactError(MerpoError):
    """A saved artifact that is missing, damaged, or of another format."""


class PluginError(MerpoError):
    """A plugin that cannot be loaded, clashes with another, or breaks its interface."""


class TrainingError(MerpoError):
    """Training that cannot go on, such as a loss that is not finite."""


class StoppedError(MerpoError):
    """A run that a signal asked to stop, and that can go on. The exit code is EX_TEMPFAIL of <sysexits.h>."""

    exit_code = 75


def nearest(word: str, choices: Iterable[str]) -> str:
    """` (did you mean 'x'?)` for the choice closest to `word`, or an empty string."""
    close = difflib.get_close_matches(word, sorted(choices), n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""
