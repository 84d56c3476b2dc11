"""Tables and text in Markdown."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

__all__ = ["code", "deeper", "plain", "table", "text"]


def text(value: str) -> str:
    """One line of plain text as Markdown; only backticks keep their meaning."""
    return " ".join(plain(value).split())


def plain(value: str) -> str:
    """Plain text as Markdown, line breaks included; only backticks keep their meaning."""
    parts = re.split(r"(`[^`]+`)", value)
    return "".join(part if part.startswith("`") else _escaped(part) for part in parts)


def _escaped(value: str) -> str:
    return re.sub(r"([\\*_\[\]|])", r"\\\1", html.escape(value, quote=False))


def code(value: str) -> str:
    """A `<code>` element, also valid inside a table; an empty string stays empty."""
    return f"<code>{html.escape(value).replace('|', '&#124;')}</code>" if value else ""


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; columns that are empty in every row are omitted."""
    cells = [list(row) for row in rows]
    used = [i for i, _ in enumerate(columns) if any(row[i] for row in cells)]
    lines = [[columns[i] for i in used], ["---"] * len(used), *([row[i] for i in used] for row in cells)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def deeper(page: str, levels: int = 1) -> str:
    """A page with every heading `levels` levels deeper."""
    return re.sub(r"^(#+ )", "#" * levels + r"\1", page, flags=re.MULTILINE)
