"""The datasets of Minari's on this machine, by a pattern of their ids."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterator
from pathlib import Path

from merpo.data.minari.files import minari_root
from merpo.errors import DatasetError, nearest
from merpo.recipe.sources import is_minari_id

__all__ = ["is_minari_pattern", "local_ids", "matching_ids"]

_PATTERN = r"[A-Za-z0-9_/*?\[\]!-]{1,300}"


def is_minari_pattern(text: str) -> bool:
    """Whether a text is a pattern of ids, such as `D4RL/door/*-v2`."""
    return re.fullmatch(_PATTERN, text) is not None and any(mark in text for mark in "*?[")


def matching_ids(pattern: str) -> list[str]:
    """The ids of the datasets on this machine that match a pattern with `*`, `?` and `[0-9]`; `*` matches slashes too.

    Raises `DatasetError` if there is none.
    """
    known = list(local_ids())
    found = [one for one in known if fnmatch.fnmatchcase(one, pattern)]
    if not found:
        raise DatasetError(
            f"{pattern[:200]}: no dataset of Minari's in {minari_root()} matches{nearest(pattern, known)}; a dataset "
            "that is to be downloaded is named in full"
        )
    return found


def local_ids() -> Iterator[str]:
    """Yield the ids of all datasets on this machine, in order."""
    root = minari_root()
    for folder, below, _ in os.walk(root):
        below.sort()
        if (Path(folder) / "data" / "metadata.json").is_file():
            below.clear()  # a dataset's own folders are not looked through
            name = Path(folder).relative_to(root).as_posix()
            if is_minari_id(name):
                yield name
