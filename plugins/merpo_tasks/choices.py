"""Arguments of environments that are one of a few: anything else would silently be another benchmark."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from merpo import MerpoError

__all__ = ["require_choice"]


def require_choice(argument: str, got: object, choices: Sequence[object]) -> None:
    """Raise `MerpoError` with the nearest choice unless `got` is one of `choices`."""
    if got not in choices:
        known = [str(choice) for choice in choices]
        close = difflib.get_close_matches(str(got)[:60], known, n=1, cutoff=0.5)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise MerpoError(f"{argument}: got {got!r:.60}{hint}, expected one of: {', '.join(known)}")
