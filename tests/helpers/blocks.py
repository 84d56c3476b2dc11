"""The documentation's pages and their fenced blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
IDS = [str(page.relative_to(ROOT)) for page in PAGES]


class Block(NamedTuple):
    """A fenced block of a page.

    A comment above it may mark it as a copy of a `file`, an `excerpt` of one, or a file's content in a `tutorial`.
    """

    page: str
    line: int
    language: str
    text: str
    what: str
    file: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page."""
    text = page.read_text("utf-8")
    fence = r"(?:^<!-- (?P<what>file|excerpt|tutorial): (?P<file>\S+) -->\n)?^```(?P<language>\w*)\n(?P<body>.*?)^```$"
    for found in re.finditer(fence, text, re.MULTILINE | re.DOTALL):
        line = text.count("\n", 0, found.start()) + 1
        what, file = found["what"] or "", found["file"] or ""
        yield Block(str(page.relative_to(ROOT)), line, found["language"], found["body"], what, file)


BLOCKS = [block for page in PAGES for block in blocks(page)]
