"""Docstrings are plain text: `[*lead, B]` has a star, not the beginning of something in italics."""

from __future__ import annotations

from typing import Any

import griffe
from page_markdown import plain  # the hooks have imported it by then: Griffe loads this file by its path alone

__all__ = ["PlainDocstrings"]


class PlainDocstrings(griffe.Extension):
    """Takes Markdown's meaning from every docstring, but for backticks."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for each object that was found."""
        if obj.docstring is not None:
            obj.docstring.value = plain(obj.docstring.value)
