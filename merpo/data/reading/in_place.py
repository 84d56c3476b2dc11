"""Large matrices in the memory that they already have: rows left out, and numbers in half the precision.

A log's observations in float64 take as much memory as observations and next observations in float32, so that these can
lie where those were. Only arrays of merpo's own are changed, never those of a user.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from merpo.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["blocks", "compacted", "halved", "is_reusable", "less"]

BLOCK = 1 << 17  # numbers that are converted at a time


def blocks(rows: int, width: int = 1) -> Iterator[slice]:
    """Yield the rows of a matrix of `width` columns in blocks, so that what is computed of one takes little memory."""
    size = max(1, BLOCK // max(1, width))
    for start in range(0, rows, size):
        yield slice(start, min(rows, start + size))


def is_reusable(array: NDArray[Any]) -> bool:
    """Whether an array is one block of memory that can be written."""
    return array.flags.writeable and (array.flags.c_contiguous or array.flags.f_contiguous)


def less(numbers: NDArray[Any], offsets: Any) -> NDArray[np.float32]:
    """Numbers in float64 less their offsets (None for none), in float32; too large ones become infinite."""
    with np.errstate(over="ignore", invalid="ignore"):
        found: NDArray[np.float32] = (numbers if offsets is None else numbers - offsets).astype(np.float32)
        return found


def compacted(array: NDArray[Any], index: NDArray[np.int64]) -> NDArray[Any]:
    """The rows of an increasing `index`, moved to the beginning of the memory of a `is_reusable` array."""
    rows, count = len(array), len(index)
    if count == rows:
        return array
    if array.flags.c_contiguous:
        for block in blocks(count, array[0].size):
            array[block] = array[index[block]]
        return array[:count]
    flat = array.T.reshape(-1)
    for column in range(array.shape[1]):
        source, target = flat[column * rows : (column + 1) * rows], flat[column * count : (column + 1) * count]
        for block in blocks(count):
            target[block] = source[index[block]]
    return flat[: count * array.shape[1]].reshape(array.shape[1], count).T


def halved(
    array: NDArray[np.float64], offsets: NDArray[np.float64] | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A matrix [N, .] less the offset of each column in float32, by rows, and room for another one.

    Both are in the memory of `array`, a `is_reusable` one, whose numbers are lost.
    """
    rows, width = array.shape
    if array.flags.c_contiguous:
        flat = array.reshape(-1)
        first, second = flat.view(np.float32)[: flat.size], flat.view(np.float32)[flat.size :]
        made = first.reshape(rows, width)
        for block in blocks(rows, width):
            made[block] = less(array[block], offsets)
        return made, second.reshape(rows, width)
    flat = array.T.reshape(-1)
    first, second = flat.view(np.float32)[: flat.size], flat.view(np.float32)[flat.size :]
    by_column, made = first.reshape(width, rows), second.reshape(rows, width)
    for column in range(width):
        for block in blocks(rows):
            by_column[column, block] = less(array[block, column], None if offsets is None else offsets[column])
    for block in blocks(rows, width):
        made[block] = by_column[:, block].T
    return made, first.reshape(rows, width)
