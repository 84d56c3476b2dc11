"""Parts of the comparison's page as strings."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from merpo.report.figures.returns import Picture

__all__ = ["figure", "page", "table"]


def page(title: str, body: Sequence[str]) -> str:
    """A whole document around blocks of HTML; nothing is fetched from elsewhere."""
    style = files("merpo").joinpath("templates", "report", "page.css").read_text("utf-8")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head>\n<body><main>\n"
        + "\n".join(body)
        + "\n</main></body></html>\n"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]], text: Sequence[int] = ()) -> str:
    """An HTML table of escaped cells; columns in `text` are aligned left."""

    def line(cells: Sequence[str], tag: str) -> str:
        marks = ((' class="text"' if i in text else "") for i in range(len(cells)))
        return "<tr>" + "".join(f"<{tag}{m}>{escape(c)}</{tag}>" for c, m in zip(cells, marks, strict=True)) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f'<div class="scroll"><table><thead>{line(head, "th")}</thead><tbody>{body}</tbody></table></div>'


def figure(picture: Picture) -> str:
    """A picture with its title and caption, inside the page."""
    data = base64.b64encode(picture.data).decode()
    return (
        f"<h2>{escape(picture.title)}</h2><figure>"
        f'<img src="data:image/png;base64,{data}" alt="{escape(picture.alt)}">'
        f"<figcaption>{escape(picture.caption)}</figcaption></figure>"
    )
