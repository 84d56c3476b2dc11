"""Memory straight from the system, which it gets back as soon as the array in it is gone.

Arrays of some megabytes come from the memory that the C library manages; what is freed between others stays there.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Any

from merpo.lazy import np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

__all__ = ["mapped_memory"]


def mapped_memory(count: int, dtype: DTypeLike) -> NDArray[Any]:
    """An array [count] of zeros, which takes memory where it is written."""
    if not count:
        return np.empty(0, dtype)
    private = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
    return np.frombuffer(mmap.mmap(-1, count * np.dtype(dtype).itemsize, **private), dtype)
