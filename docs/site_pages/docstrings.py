"""What the library's reference says of a name: its docstring, a field's description, or the comment beside it."""

from __future__ import annotations

from typing import Any

import griffe
from page_api import meaning  # the hooks have imported these two by then: Griffe loads this file by its path alone
from page_markdown import plain

__all__ = ["Docstrings"]


class Docstrings(griffe.Extension):
    """Attributes get a docstring, and none has a meaning in Markdown but for backticks: `[*lead, B]` has a star."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for each object that was found."""
        if obj.is_attribute and obj.docstring is None and (text := meaning(obj.source)):
            obj.docstring = griffe.Docstring(text, parent=obj)
        if obj.docstring is not None:
            obj.docstring.value = plain(obj.docstring.value)
