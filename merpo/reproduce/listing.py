"""What `merpo reproduce` prints: the list of figures and tables, planned runs, a table's departures, verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from merpo.reproduce.figure import Family, Figure
from merpo.reproduce.files import Source, recipes_of
from merpo.reproduce.table import Table, compared
from merpo.reproduce.verdicts import Found, quoted
from merpo.support.format import duration, interval_text, number
from merpo.support.tables import frame, print_table

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["print_sources", "print_table_check", "verdict_lines"]

SMALL = "small"
NOT_MEASURED = "not measured"


def print_sources(every: Sequence[Source], console: Console) -> None:
    """A line for each figure and family, and for each table."""
    from rich.table import Table as Lines

    lines = Lines(box=frame(console))
    for head, justify in (("name", "left"), ("what", "left"), ("family", "left"), ("arms", "right"), ("runs", "right")):
        lines.add_column(head, justify=justify, overflow="fold")  # type: ignore[arg-type]
    lines.add_column(f"time, size {SMALL}", justify="left", overflow="fold")
    for source in every:
        for row in _rows(source):
            lines.add_row(*row)
    print_table(lines, console)


def print_table_check(source: Source, table: Table, console: Console) -> None:
    """The values of our recipes that are not those of the table, and how many are."""
    from rich.table import Table as Lines

    lines = Lines(title=table.title, box=frame(console))
    for head in ("hyper-parameter", "recipe", "paper", "here", "why"):
        lines.add_column(head, justify="left", overflow="fold")
    cells = compared(table, recipes_of(source, table))
    for cell in cells:
        if cell.row.key and not cell.equal:
            lines.add_row(cell.row.name, cell.recipe, cell.stated, cell.here or "no such key", cell.row.note)
    print_table(lines, console)
    departures = sum(not cell.equal for cell in cells if cell.row.key)
    equal = sum(cell.equal for cell in cells if cell.row.key)
    text = f"{departures} departures, {equal} values as in the table"
    if without := dict.fromkeys(cell.row.name for cell in cells if not cell.row.key):
        text += f"; without a key: {', '.join(without)}"
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def verdict_lines(found: Found) -> Iterator[str]:
    """Every claim with its verdict, then its differences."""
    for claim in found.claims:
        yield f"{claim.verdict}: {quoted(claim.quote)} ({claim.source})"
        if claim.note:
            yield f"    {claim.note}"
        for one in claim.compared:
            margin = f", margin {number(one.margin)}" if one.margin else ""
            pairs = "pairs of runs" if one.paired else "runs"
            count = str(one.runs[0]) if one.runs[0] == one.runs[1] else f"{one.runs[0]} and {one.runs[1]}"
            sets = f", {one.data_sets} data set{'s' if one.data_sets > 1 else ''}" if one.data_sets else ""
            pair = f"{one.first} − {one.second}, {claim.measure}: {interval_text(one.difference)}{margin}"
            yield f"    {pair}: {one.verdict} ({count} {pairs}{sets})"


def _rows(source: Source) -> Iterator[tuple[str, str, str, str, str, str]]:
    content = source.content
    if isinstance(content, Table):
        yield content.id, content.title, "", "", "", "at once: our recipes' values beside the table's"
    elif content.not_yet:
        yield content.id, content.title, "", "", "", f"not yet: {content.not_yet}"
    else:
        for i, family in enumerate(content.families):
            name, title = (content.id, content.title) if i == 0 else ("", "")
            arms = len(content.arms_of(family.name))
            runs = arms * (content.seeds[1] - content.seeds[0])
            asked = " (only by --family)" if family.optional else ""
            yield name, title, f"{family.name}{asked}", str(arms), str(runs), _time(content, family, runs)


def _time(figure: Figure, family: Family, runs: int) -> str:
    """The estimate for all runs, one after the other on one core."""
    size = next((size for size in family.sizes if size.name == SMALL), None)
    if size is None or size.minutes is None:
        return NOT_MEASURED
    return f"about {duration(60 * runs * size.minutes)} on one core (estimate: {size.machine or 'machine not stated'})"
