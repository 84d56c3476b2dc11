"""The command line called in this process, for tests that look at what a user would see."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, final

from merpo.recipe.tiny import tiny_tables
from merpo.support.files import atomic_write_text

__all__ = ["Answer", "MerpoRunner"]


class Answer(NamedTuple):
    """What a call of `merpo` gave: its exit code, and what it printed."""

    code: int
    out: str
    err: str


@final
class MerpoRunner:
    """Calls `merpo` and writes tiny recipes, all in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: str | Path) -> Answer:
        """`merpo *arguments`. An error that is no `MerpoError` is raised as it is: it is a defect."""
        from merpo.cli.app import main

        out, err, before = io.StringIO(), io.StringIO(), sys.argv
        sys.argv = ["merpo", *map(str, arguments)]
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = _exit_code(main)
        finally:
            sys.argv = before
        return Answer(code, out.getvalue(), err.getvalue())

    def recipe(self, changes: Mapping[str, Any] | None = None, name: str = "tiny.toml") -> Path:
        """The tiny recipe with `changes` over it, as a file: a run through every stage in about a second.

        `{"method": {"alpha": "mine"}}` has MerPO use the scheduler `mine`; `{"method": "mine"}` is another method.
        """
        import tomli_w

        path = self.folder / name
        atomic_write_text(path, tomli_w.dumps(tiny_tables(changes)))
        return path


def _exit_code(main: Any) -> int:
    try:
        main()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return 0
