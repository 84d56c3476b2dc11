"""Tables on a terminal, in files and in Markdown."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.box import Box
    from rich.console import Console
    from rich.table import Column, Table

__all__ = ["aligned", "frame", "markdown_table", "plain", "print_table", "printable"]

TEXT = 16  # characters below which a column of text is not folded while others could go into a table of their own
UNBOUNDED = 100_000  # characters of a line in a file


def frame(console: Console) -> Box:
    """Lines on a terminal, plain columns in a file."""
    from rich import box

    return box.SIMPLE_HEAD if console.is_terminal else box.ASCII2


def print_table(table: Table, console: Console) -> None:
    """Print a table whose first column says what its rows are; columns aligned left hold text, the others numbers.

    Where the terminal, or `COLUMNS` if that is set, is too narrow, headings fold first, then text; then the columns on
    the right follow in tables below, each with the first column. In a file a row is one line, as long as it must be.
    """
    every = range(1, len(table.columns))
    limit = console.width if console.is_terminal or "COLUMNS" in os.environ else UNBOUNDED
    whole = _part(table, every, folded=False)
    if _width(whole, console) <= limit:
        _print(whole, console)
        return
    for i, columns in enumerate(_groups(table, console, limit)):
        tight = _width(_part(table, columns, folded=True, text=TEXT), console) > limit
        part = _part(table, columns, folded=True, numbers=tight)
        part.title = table.title if i == 0 else None
        console.print(part)


def _print(table: Table, console: Console) -> None:
    """Print a table as wide as it is, even where a file's lines count as shorter."""
    width = _width(table, console)
    if width > console.width:
        table.width = width
    console.print(table, crop=False)


def _groups(table: Table, console: Console, limit: int) -> list[list[int]]:
    """Which columns stand beside the first in each of the tables, so that each fits once its text is folded."""
    groups: list[list[int]] = [[]]
    for i in range(1, len(table.columns)):
        narrow = _part(table, [*groups[-1], i], folded=True, text=TEXT)
        if groups[-1] and _width(narrow, console) > limit:
            groups.append([])
        groups[-1].append(i)
    return groups


def _part(table: Table, columns: Sequence[int], folded: bool, text: int | None = None, numbers: bool = False) -> Table:
    """The first column and `columns` as a table of their own.

    Headings are `folded`; columns of text are at most `text` wide; `numbers` says whether these may go over lines, too.
    """
    from rich.table import Table

    part = Table(title=table.title, title_justify=table.title_justify, box=table.box)
    chosen = [table.columns[i] for i in (0, *columns)]
    for column in chosen:
        heading, words = str(column.header), column.justify == "left"
        part.add_column(
            _fold(heading, column) if folded else heading,
            justify=column.justify,
            overflow="fold",
            no_wrap=not words and not numbers,
            max_width=text if words else None,
        )
    for i, row in enumerate(table.rows):
        cells = [list(column.cells)[i] for column in chosen]
        part.add_row(*cells, style=row.style, end_section=row.end_section)
    return part


def _fold(heading: str, column: Column) -> str:
    """A heading in lines that are hardly longer than the cells below it, broken at spaces and after hyphens."""
    pieces = re.findall(r"[^\s-]+-?|-", heading)
    width = max((len(str(text)) for text in (*column.cells, *pieces)), default=0)
    lines: list[str] = []
    for piece in pieces:
        glue = "" if lines and lines[-1].endswith("-") else " "
        if lines and len(lines[-1]) + len(glue) + len(piece) <= width:
            lines[-1] += glue + piece
        else:
            lines.append(piece)
    return "\n".join(lines)


def _width(table: Table, console: Console) -> int:
    """Characters of a line, if nothing is folded but at the most that its columns may have."""
    from rich.measure import Measurement

    return Measurement.get(console, console.options.update(max_width=UNBOUNDED), table).maximum


def printable(text: str) -> str:
    """One line without control characters, which a recipe might smuggle to a terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def aligned(rows: Sequence[Sequence[str]], right: Sequence[int]) -> list[str]:
    """Rows of cells as lines of columns, those in `right` flush right; the first row has their heads."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(w) if i in right else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(printable("  ".join(cells).rstrip()))
    return lines


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int) -> str:
    """A table with `left` columns of text and the rest of numbers."""
    rule = ["---"] * left + ["---:"] * (len(head) - left)
    return "".join(f"{line}\n" for line in _lines([head, rule, *rows]))


def plain(text: str) -> str:
    """Text that cannot end a cell, nor begin a tag."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def _lines(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for row in rows:
        yield f"| {' | '.join(plain(cell) for cell in row)} |"
