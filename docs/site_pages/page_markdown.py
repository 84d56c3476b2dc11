"""Tables and text in Markdown."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

__all__ = ["code", "deeper", "plain", "table", "text"]


def text(value: str) -> str:
    """Plain text in which nothing is markup but what is set in backticks."""
    return " ".join(plain(value).split())


def plain(value: str) -> str:
    """The same with its lines as they are."""
    parts = re.split(r"(`[^`]+`)", value)
    return "".join(part if part.startswith("`") else _escaped(part) for part in parts)


def _escaped(value: str) -> str:
    return re.sub(r"([\\*_\[\]|])", r"\\\1", html.escape(value, quote=False))


def code(value: str) -> str:
    """In the typewriter's letters, also inside of a table; nothing for nothing."""
    return f"<code>{html.escape(value).replace('|', '&#124;')}</code>" if value else ""


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table without the columns that are empty in every row."""
    cells = [list(row) for row in rows]
    used = [i for i, _ in enumerate(columns) if any(row[i] for row in cells)]
    lines = [[columns[i] for i in used], ["---"] * len(used), *([row[i] for i in used] for row in cells)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def deeper(page: str, levels: int = 1) -> str:
    """A page whose headings are `levels` deeper."""
    return re.sub(r"^(#+ )", "#" * levels + r"\1", page, flags=re.MULTILINE)
