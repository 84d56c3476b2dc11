"""How large a method is, as its recipe states it: its networks and its gradient steps, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["networks", "steps"]

COUNTS = ("iterations", "inner_steps", "steps")  # knobs that count gradient steps, as multiplied
UNTRAINED = "random"  # the source of a given policy whose widths the recipe sets
UNSEEN = "adaptation_steps"  # the one that counts those on an unseen task


def networks(method: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Section or component -> its hidden widths, such as `7 of 3 × 64` of an ensemble."""
    for place, section in _sections(method):
        if section.get("source", UNTRAINED) != UNTRAINED:
            continue  # a network that is read from somewhere has its own widths
        for key in ("hidden", "policy_hidden"):
            widths = section.get(key)
            if isinstance(widths, list) and widths:
                members = section.get("members")
                yield _place(place, key), (f"{members} of " if members else "") + _shape(widths)


def steps(method: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Section -> its gradient steps, such as `800 × 10`: iterations times steps of each."""
    for place, section in _sections(method):
        counts = [f"{section[key]:,}" for key in COUNTS if isinstance(section.get(key), int)]
        if counts:
            yield place or "method", " × ".join(counts)
        if isinstance(section.get(UNSEEN), int):
            yield f"{place}, unseen tasks", f"{section[UNSEEN]:,}"


def _sections(method: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield "", method
    yield from ((key, value) for key, value in method.items() if isinstance(value, Mapping))


def _place(section: str, key: str) -> str:
    return "policy" if key == "policy_hidden" else section or "method"


def _shape(widths: Sequence[int]) -> str:
    return f"{len(widths)} × {widths[0]}" if len(set(widths)) == 1 else ", ".join(map(str, widths))
