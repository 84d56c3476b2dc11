"""Docstrings for the library reference: a name's own, its field's description, or the comment beside it."""

from __future__ import annotations

from typing import Any

import griffe
from page_api import meaning  # the hooks have imported these two by then: Griffe loads this file by its path alone
from page_markdown import plain

__all__ = ["Docstrings"]


class Docstrings(griffe.Extension):
    """A Griffe extension: attributes get docstrings; Markdown is escaped except in backticks, e.g. `[*lead, B]`."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Set or escape the docstring of one object."""
        if obj.is_attribute and obj.docstring is None and (text := meaning(obj.source)):
            obj.docstring = griffe.Docstring(text, parent=obj)
        if obj.docstring is not None:
            obj.docstring.value = plain(obj.docstring.value)
