"""From the numbers of a log to float32: an offset is subtracted first, and what float32 cannot hold apart is found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from merpo.data.reading.choices import Bound
from merpo.data.reading.real_numbers import as_numbers
from merpo.errors import DatasetError
from merpo.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["offsets_of", "subtracted", "to_float32", "unresolved"]

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
    with np.errstate(over="ignore", invalid="ignore"):
        if offsets is None or not offsets.any():
            return array.astype(np.float32, order="C", copy=True)
        made = np.empty(array.shape, dtype=np.float32)
        for column, offset in enumerate(offsets.tolist()):
            made[:, column] = subtracted(array[:, column], offset)
        return made


def subtracted(column: NDArray[Any], offset: float) -> NDArray[Any]:
    """A column less an offset, exact for integers."""
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
    notes = []
    for column, label in enumerate(labels):
        values = subtracted(table[:, column], 0.0 if offsets is None else float(offsets[column]))
        found = _fused(values)
        if found is None:
            continue
        before, after, largest, spread = found
        what = f"{label}: {before:,} distinct values become {after:,} in float32, in which numbers are stored"
        if largest < SMALL or spread <= NOISE * largest:
            notes.append(what)
            continue
        offset = float(np.floor(np.nanmin(values)))
        if array.ndim == 2 and _fused(subtracted(table[:, column], offset)) is None:
            advice = f"subtract an offset: subtract = {{ {label!r} = {offset!r} }} in --columns"
            advice += f", or --subtract '{label}={offset!r}'"
        else:
            advice = "give differences or other units, or leave the column out"
        raise DatasetError(f"{place}: {what}, as they are near {_digits(values)}; {advice}")
    return notes


def _fused(values: NDArray[Any]) -> tuple[int, int, float, float] | None:
    """Distinct values before and after rounding, the largest and the spread; None if nothing is lost that matters."""
    known = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    if known.size < 2:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = known.astype(np.float32)
        wrong = float(np.abs(rounded.astype(np.float64) - known).max())
        largest, spread = float(np.abs(known.astype(np.float64)).max()), float(known.astype(np.float64).std())
    if not 0.0 < wrong < np.inf:
        return None
    if wrong <= OF_SPREAD * spread and wrong <= OF_STEP * _usual_step(known):
        return None
    before, after = len(np.unique(known)), len(np.unique(rounded))
    return (before, after, largest, spread) if before - after > FUSED * before else None


def _usual_step(known: NDArray[Any]) -> float:
    """The median of the differences between rows in sequence that differ."""
    every = -(-len(known) // PAIRS)
    steps = np.abs((known[1:] - known[:-1])[::every].astype(np.float64))
    steps = steps[steps > 0]
    return float(np.median(steps)) if steps.size else np.inf


def _digits(values: NDArray[Any]) -> str:
    """The first value with all its digits."""
    first = values[np.isfinite(values)][0] if values.dtype.kind == "f" else values[0]
    return repr(first.item())
