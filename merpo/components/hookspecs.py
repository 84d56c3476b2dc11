"""Pluggy hook of merpo: `merpo_components`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from merpo.components.component import Component

__all__ = ["hookimpl", "hookspec"]

hookspec = pluggy.HookspecMarker("merpo")
hookimpl = pluggy.HookimplMarker("merpo")


@hookspec
def merpo_components() -> Sequence[type[Component]]:  # type: ignore[empty-body]
    """The component classes that a plugin provides; a class's kind is the interface that it implements."""
