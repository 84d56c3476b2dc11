"""Several tests at once: Holm's correction."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["holm"]


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """p-values that may each be compared with 0.05, so that one in twenty tables has a wrong rejection at all.

    The smallest of n is multiplied by n, the next by n − 1 and so on, and none becomes smaller than one before it.
    None stands for a comparison that was not tested, and is not counted.
    """
    known = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    least = 0.0
    for rank, (p, place) in enumerate(known):
        least = max(least, min(1.0, (len(known) - rank) * p))
        adjusted[place] = least
    return adjusted
