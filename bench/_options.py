"""Command-line options common to all scripts: the folder of the results, and a tiny size for a trial run."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, NoReturn

from _results import RESULTS

__all__ = ["options", "parse", "recorded", "skip"]


def options(doc: str | None, script: str) -> argparse.ArgumentParser:
    """A parser with `--out` and `--tiny`, for `parse`; `script` is the caller's `__file__`."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--out", type=Path, metavar="FOLDER", help="folder of the result files (bench/results)")
    made.add_argument("--tiny", action="store_true", help="smallest sizes, for a trial run; needs --out")
    made.set_defaults(script=Path(script).stem)
    return made


def parse(made: argparse.ArgumentParser, **tiny: Any) -> argparse.Namespace:
    """The parsed command line; with `--tiny`, the values of `tiny` replace the defaults."""
    if made.parse_known_args()[0].tiny:
        made.set_defaults(**tiny)
    found = made.parse_args()
    if found.tiny and found.out is None:
        made.error("--tiny: expected --out FOLDER too, so that measured results are not overwritten")
    found.out = found.out or RESULTS
    return found


def recorded(arguments: argparse.Namespace) -> dict[str, Any]:
    """The arguments for a result file."""
    given = {key: str(value) if isinstance(value, Path) else value for key, value in vars(arguments).items()}
    left_out = {"out", "script"} if arguments.tiny else {"out", "script", "tiny"}
    return {key: value for key, value in given.items() if key not in left_out}


def skip(reason: str) -> NoReturn:
    """Exit with 0 from a script that cannot run on this machine, printing the reason and writing nothing."""
    sys.stdout.write(f"skipped: {reason}\n")
    raise SystemExit(0)
