"""Tables on a terminal, in files and in Markdown."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from merpo.support.terminal import neutral, printable

if TYPE_CHECKING:
    from rich.box import Box
    from rich.console import Console
    from rich.table import Column, Table

__all__ = ["aligned", "frame", "markdown_table", "plain", "print_table"]

TEXT = 16  # characters below which a column of text is not folded while others could go into a table of their own
UNBOUNDED = 100_000  # characters of a line in a file


def frame(console: Console) -> Box:
    """Lines on a terminal, plain columns in a file."""
    from rich import box

    return box.SIMPLE_HEAD if console.is_terminal else box.ASCII2


def print_table(table: Table, console: Console) -> None:
    """Print a table whose first column names its rows; columns aligned left hold text, the others numbers.

    Where the terminal, or `COLUMNS` if that is set, is too narrow, headings fold first, then text; then the columns on
    the right follow in tables below, each with the first column. In a file a row is one line, as long as it must be.
    """
    limit = console.width if console.is_terminal or "COLUMNS" in os.environ else UNBOUNDED
    every = range(1, len(table.columns))
    if (width := _width(_part(table, every), console)) <= limit:
        whole = _part(table, every)
        whole.width = width if width > console.width else None  # of a file, which counts as narrow
        console.print(whole, crop=False)
        return
    groups: list[list[int]] = [[]]
    for i in every:
        if groups[-1] and _width(_part(table, [*groups[-1], i], TEXT), console) > limit:
            groups.append([])
        groups[-1].append(i)
    for columns in groups:
        part = _part(table, columns, UNBOUNDED)
        if columns is not groups[0]:
            part.title = None
        if _width(_part(table, columns, TEXT), console) > limit:  # too narrow even for the numbers
            for column in part.columns:
                column.no_wrap = False
        console.print(part)


def _part(table: Table, columns: Sequence[int], text: int | None = None) -> Table:
    """The first column and `columns` as a table; with `text`, headings are folded and text is at most so wide.

    Cells are text, never markup.
    """
    from rich.table import Table
    from rich.text import Text

    chosen = [table.columns[i] for i in (0, *columns)]
    part = Table(title=table.title, title_justify=table.title_justify, box=table.box)
    for column in chosen:
        heading, words = str(column.header), column.justify == "left"
        if text is not None:
            heading = _fold(heading, column)
        width = text if words else None
        part.add_column(
            Text(neutral(heading)), justify=column.justify, overflow="fold", no_wrap=not words, max_width=width
        )
    for row, *cells in zip(table.rows, *(column.cells for column in chosen), strict=True):
        part.add_row(*(Text(neutral(str(cell))) for cell in cells), style=row.style, end_section=row.end_section)
    return part


def _fold(heading: str, column: Column) -> str:
    """A heading in lines that are hardly longer than the cells below it, broken at spaces and after hyphens."""
    pieces = re.findall(r"[^\s-]+-?", heading)
    width = max((len(str(text)) for text in (*column.cells, *pieces)), default=1)
    return textwrap.fill(heading, max(width, 1), break_long_words=False)


def _width(table: Table, console: Console) -> int:
    """Characters of a line where nothing is folded but text that is wider than its column may be."""
    from rich.measure import Measurement

    return Measurement.get(console, console.options.update(max_width=UNBOUNDED), table).maximum


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
    """Text for a cell or a heading of Markdown: on one line, without markup of HTML, links, or ends of cells."""
    escaped = printable(text.replace("\n", " ")).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
    return re.sub(r"\](?=[(\[:])", r"\\]", escaped)


def _lines(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for row in rows:
        yield f"| {' | '.join(plain(cell) for cell in row)} |"
