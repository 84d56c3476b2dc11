"""The pluggy hook of merpo."""

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
    """Return the plugin's component classes; the interface of a class determines its kind."""
