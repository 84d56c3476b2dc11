"""In-process calls of the command line for tests: `MerpoRunner`."""

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
    """The exit code and the output of a call of `merpo`."""

    code: int
    out: str
    err: str


@final
class MerpoRunner:
    """Calls `merpo` and writes tiny recipes in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: str | Path) -> Answer:
        """The result of `merpo *arguments`; unexpected errors (other than `MerpoError`) are raised."""
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
        """Write the tiny recipe with `changes` to a file: its run takes about a second through all stages.

        `{"method": {"alpha": "mine"}}` selects the α scheduler `mine` for MerPO; `{"method": "mine"}` another method.
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
