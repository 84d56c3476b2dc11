"""Arguments of environments that are one of a few: anything else would silently be another benchmark."""

from __future__ import annotations

from collections.abc import Sequence

from merpo.errors import MerpoError, nearest

__all__ = ["require_choice"]


def require_choice(argument: str, got: object, choices: Sequence[object]) -> None:
    """Raise `MerpoError` with the nearest choice unless `got` is one of `choices`."""
    if got not in choices:
        known = [str(choice) for choice in choices]
        raise MerpoError(
            f"{argument}: got {got!r:.60}{nearest(str(got)[:60], known)}, expected one of: {', '.join(known)}"
        )
