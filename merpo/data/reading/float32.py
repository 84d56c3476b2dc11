"""From the numbers of a log to float32: an offset is subtracted first, and what float32 cannot hold apart is found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from merpo.data.reading.choices import Bound
from merpo.data.reading.in_place import blocks, halved, is_reusable
from merpo.data.reading.real_numbers import as_numbers
from merpo.errors import DatasetError
from merpo.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["float32_pair", "offsets_of", "subtracted", "to_float32", "unresolved", "write_float32"]

FUSED = 0.01  # share of distinct values that become equal to others
OF_STEP = 0.1  # rounding, of the usual difference between rows in sequence
OF_SPREAD = 1e-3  # rounding, of the standard deviation
NOISE = 1e-12  # of the largest value: what varies less is taken for rounding errors of whoever wrote the log
SMALL = 1e3  # values below it are no offsets: what is lost there is said, and not refused
PAIRS = 100_000  # pairs of rows from which the usual difference is taken


def offsets_of(chosen: Bound | None, width: int, name: str) -> NDArray[np.float64] | None:
    """The numbers to subtract from each of `width` columns; raises `DatasetError` if they are not that many numbers."""
    if chosen is None:
        return None
    numbers = as_numbers(chosen)
    if numbers is None:
        raise DatasetError(f"{name}: subtract is {chosen!r:.40}, expected a number, or {width} of them")
    if numbers.ndim > 1 or (numbers.ndim == 1 and len(numbers) != width) or not np.isfinite(numbers).all():
        raise DatasetError(
            f"{name}: subtract is {numbers.tolist()!s:.60}, expected a finite number, or {width} of them"
        )
    return np.broadcast_to(numbers, (width,))


def to_float32(array: NDArray[Any], offsets: NDArray[np.float64] | None = None) -> NDArray[np.float32]:
    """An array [N] or [N, .] in float32, less the offset of each column; too large values become infinite."""
    made = np.empty(array.shape, dtype=np.float32)
    write_float32(array, made, offsets)
    return made


def write_float32(array: NDArray[Any], made: NDArray[np.float32], offsets: NDArray[np.float64] | None = None) -> None:
    """`to_float32` into another array."""
    with np.errstate(over="ignore", invalid="ignore"):
        if offsets is None or not offsets.any():
            made[...] = array
            return
        for column, offset in enumerate(offsets.tolist()):
            for block in blocks(len(array)):
                made[block, column] = subtracted(array[block, column], offset)


def float32_pair(
    array: NDArray[Any], offsets: NDArray[np.float64] | None, own: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """A matrix as `to_float32` gives it, and room for another one if the memory of `array` has it.

    `own`: the memory may be used, and its numbers are lost.
    """
    offsets = offsets if offsets is not None and offsets.any() else None
    if own and is_reusable(array) and array.dtype == np.float64:
        return halved(array, offsets)
    if own and array.dtype == np.float32 and array.flags.c_contiguous and offsets is None:
        return array, None
    return to_float32(array, offsets), None


def subtracted(column: NDArray[Any], offset: float) -> NDArray[Any]:
    """A column less an offset, exact for integers; the column itself where nothing is subtracted."""
    if not offset and column.dtype == np.float64:
        return column
    if column.dtype.kind in "iu" and offset.is_integer() and abs(offset) < 2**62:
        return column.astype(np.int64) - int(offset)
    return column.astype(np.float64) - offset


def unresolved(
    array: NDArray[Any], labels: Sequence[str], place: str, offsets: NDArray[np.float64] | None = None
) -> list[str]:
    """Notes on columns [N] or [N, .] of which float32 holds fewer values; raises `DatasetError` if it is an offset.

    From rewards [N] no offset can be subtracted: where episodes terminate, it would change what is optimal.
    """
    table = array[:, None] if array.ndim == 1 else array
    if table.dtype.kind == "b" or table.dtype in (np.float16, np.float32) or table.dtype.itemsize < 4:
        return []
    less = np.zeros(table.shape[1]) if offsets is None else offsets
    wrong, largest, spread = _figures(table, less)
    notes = []
    for column, label in enumerate(labels):
        known, offset = table[:, column], float(less[column])
        if not _is_wrong(known, float(wrong[column]), float(spread[column])):
            continue
        values = subtracted(known, offset)
        found = _fused(values)
        if found is None:
            continue
        what = f"{label}: {found[0]:,} distinct values become {found[1]:,} in float32, in which numbers are stored"
        if largest[column] < SMALL or spread[column] <= NOISE * largest[column]:
            notes.append(what)
            continue
        offset = float(np.floor(np.nanmin(values)))
        if array.ndim == 2 and not _loses(subtracted(known, offset)):
            advice = f"subtract an offset: subtract = {{ {label!r} = {offset!r} }} in --columns"
            advice += f", or --subtract '{label}={offset!r}'"
        else:
            advice = "give differences or other units, or leave the column out"
        raise DatasetError(f"{place}: {what}, as they are near {_digits(values)}; {advice}")
    return notes


def _figures(table: NDArray[Any], offsets: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """The greatest rounding error, the largest number and the standard deviation of each column [N, .], by blocks.

    Numbers that are not finite do not count.
    """
    width = table.shape[1]
    wrong, largest, count, mean, squares = np.zeros((5, width))
    with np.errstate(over="ignore", invalid="ignore"):
        for block in blocks(len(table), width):
            for column in range(width):
                known = _finite(subtracted(table[block, column], float(offsets[column])))
                if not known.size:
                    continue
                numbers = known.astype(np.float64)
                error = np.abs(known.astype(np.float32).astype(np.float64) - known).max()
                wrong[column] = max(wrong[column], error)
                largest[column] = max(largest[column], np.abs(numbers).max())
                own, total = numbers.mean(), count[column] + known.size
                away = own - mean[column]
                squares[column] += ((numbers - own) ** 2).sum() + away**2 * count[column] * known.size / total
                mean[column] += away * known.size / total
                count[column] = total
        return wrong, largest, np.sqrt(squares / np.maximum(count, 1.0))


def _is_wrong(column: NDArray[Any], wrong: float, spread: float) -> bool:
    """Whether the greatest rounding error may matter in a column."""
    if not 0.0 < wrong < np.inf:
        return False
    return not (wrong <= OF_SPREAD * spread and wrong <= OF_STEP * _usual_step(_finite(column)))


def _fused(values: NDArray[Any]) -> tuple[int, int] | None:
    """Distinct values before and after rounding, None if few are lost."""
    known = _finite(values)
    with np.errstate(over="ignore"):
        before, after = len(np.unique(known)), len(np.unique(known.astype(np.float32)))
    return (before, after) if before - after > FUSED * before else None


def _loses(values: NDArray[Any]) -> bool:
    """Whether float32 holds too few of the values of a column."""
    wrong, _, spread = _figures(values[:, None], np.zeros(1))
    return _is_wrong(values, float(wrong[0]), float(spread[0])) and _fused(values) is not None


def _finite(values: NDArray[Any]) -> NDArray[Any]:
    """The finite values, without a copy if all are."""
    if values.dtype.kind != "f":
        return values
    finite = np.isfinite(values)
    return values if finite.all() else values[finite]


def _usual_step(known: NDArray[Any]) -> float:
    """The median of the differences between rows in sequence that differ."""
    every = -(-len(known) // PAIRS)
    steps = np.abs((known[1:][::every] - known[:-1][::every]).astype(np.float64))
    steps = steps[steps > 0]
    return float(np.median(steps)) if steps.size else np.inf


def _digits(values: NDArray[Any]) -> str:
    """The first value with all its digits."""
    first = values[np.isfinite(values)][0] if values.dtype.kind == "f" else values[0]
    return repr(first.item())
