"""`merpo table`: one table over the runs of any recipes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["table"]


def table(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[RUN...]", help="Runs, or folders that hold runs.", show_default=False),
    ] = None,
    numbers: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Add the rows to those in this file, by the recipe's name."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the table here as Markdown, else print it.")
    ] = None,
) -> None:
    """Tabulate runs of any recipes: sizes, times, and returns with intervals; without runs, what the JSON holds."""
    from merpo.compare.table import Suites, merged, read_suites
    from merpo.compare.table_page import suites_page
    from merpo.compare.table_rows import suites_of
    from merpo.errors import MerpoError
    from merpo.support.files import atomic_write_text

    if not runs and numbers is None:
        raise MerpoError("table: got neither runs nor --json, expected one of them")
    old = read_suites(numbers) if numbers is not None and (numbers.exists() or not runs) else Suites(rows=[])
    new = suites_of(runs) if runs else Suites(rows=[])
    found = merged(old, new)
    there = {(row.family, row.name) for row in old.rows}
    replaced = [row.name for row in new.rows if (row.family, row.name) in there]
    if replaced:
        print(f"replaced: {'; '.join(replaced)}", file=sys.stderr)
    if numbers is not None and runs:
        atomic_write_text(numbers, found.to_json())
    if out is None:
        print(suites_page(found), end="")
    else:
        atomic_write_text(out, suites_page(found))
        print(f"{len(found.rows)} recipes: {out}")
