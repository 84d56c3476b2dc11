"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

__all__ = ["markdown_table", "plain"]


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
