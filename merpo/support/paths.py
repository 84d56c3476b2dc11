"""Names as paths: a name from a file, a recipe or a plugin becomes a path here only, and never leads elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

from merpo.errors import MerpoError
from merpo.support.files import FILE_NAME

__all__ = ["OWN_NAME", "inside", "is_name"]

OWN_NAME = r"[^/\\:\x00-\x1f]{1,200}"  # of a file that the user named, in any script

_EXPECTED = {
    FILE_NAME: "letters, digits, '.', '_', '+' or '-', a letter or digit first, at most 151 in all",
    OWN_NAME: "at most 200 characters without '/', '\\' and ':'",
}


def is_name(text: str, pattern: str = FILE_NAME) -> bool:
    """Whether a text is a plain name of the pattern: no path, no hidden meaning for any system."""
    return re.fullmatch(pattern, text) is not None and text not in ("", ".", "..") and not set(text) & set("/\\:\0")


def inside(
    folder: Path,
    *names: str,
    what: str = "name",
    error: type[MerpoError] = MerpoError,
    pattern: str = FILE_NAME,
) -> Path:
    """The path in `folder` whose parts are `names`, the last one that of the file.

    Raises `error`, in which `what` says whose name it is, for a name that does not match `pattern`, and for a folder
    on the way that is a link to a place outside of `folder`.
    """
    for name in names:
        if not is_name(name, pattern):
            raise error(f"{what} is {name!r:.80}, expected {_EXPECTED.get(pattern, 'a plain name')}")
    path = folder.joinpath(*names)
    try:
        last = path if path.is_dir() else path.parent
        within = last.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError) as failure:  # a circle of links, a text that is no name here
        raise error(f"{path}: cannot be used: {getattr(failure, 'strerror', None) or failure}") from None
    if not within:
        raise error(f"{last}: is a link to a folder outside of {folder}, expected a folder in it")
    return path
