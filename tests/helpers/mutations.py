"""Hypothesis strategies for damaged file contents."""

from __future__ import annotations

from hypothesis import strategies as st

__all__ = ["mutated"]


def mutated(content: bytes) -> st.SearchStrategy[bytes]:
    """`content` with some bytes changed, removed or inserted."""
    place, byte = st.integers(0, len(content)), st.binary(min_size=1, max_size=8)
    edit = st.tuples(place, st.integers(0, 8), byte)

    def apply(edits: list[tuple[int, int, bytes]], end: int) -> bytes:
        changed = content
        for start, length, new in edits:
            changed = changed[:start] + new + changed[start + length :]
        return changed[: max(0, len(changed) - end)]

    return st.builds(apply, st.lists(edit, min_size=1, max_size=3), st.one_of(st.just(0), st.integers(0, len(content))))
