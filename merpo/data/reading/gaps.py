"""Missing values of logs: the episode is left out, or the value before is held; by default they are refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from merpo.data.reading.in_place import blocks
from merpo.data.reading.layout import MATRICES
from merpo.errors import DatasetError
from merpo.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ADVICE", "COLUMNS", "gap_mask", "gappy_episodes", "held", "with_gaps"]

COLUMNS = ("observations", "actions", "rewards", "next_observations")
ADVICE = (
    'a missing value; gaps = "drop" (--gaps drop) leaves its episode out, gaps = "hold" repeats the value before it'
)


def gap_mask(array: NDArray[Any]) -> NDArray[np.bool_]:
    """Where values are missing, in the shape of the array."""
    if array.dtype.kind != "f":
        return np.zeros(array.shape, dtype=np.bool_)
    found: NDArray[np.bool_] = np.isnan(array)
    return found


def with_gaps(arrays: Mapping[str, NDArray[Any]], missing: Sequence[float], own: bool) -> dict[str, NDArray[Any]]:
    """The arrays with NaN for every number that stands for a missing value; `own` matrices may be changed."""
    made = dict(arrays)
    for key in COLUMNS if missing else ():
        if key in made:
            made[key] = _with_nan(made[key], missing, own and key in MATRICES)
    return made


def _with_nan(array: NDArray[Any], missing: Sequence[float], own: bool) -> NDArray[Any]:
    """An array with NaN where numbers stand for missing values, itself if none does."""
    made = array
    for block in blocks(len(array), array[:1].size):
        found = _stand(array[block], missing)
        if found.any():
            if made is array and not (own and array.dtype.kind == "f" and array.flags.writeable):
                made = array.astype(np.float64)
            made[block][found] = np.nan
    return made


def _stand(array: NDArray[Any], missing: Sequence[float]) -> NDArray[np.bool_]:
    """Where numbers stand for missing values: equal to one of them as they are, or as they would be stored."""
    found = np.isin(array, list(missing))
    if array.dtype in (np.float32, np.float64):
        with np.errstate(over="ignore"):
            found |= np.isin(array.astype(np.float32), np.asarray(missing, dtype=np.float32))
    return found


def gappy_episodes(
    arrays: Mapping[str, NDArray[Any]], offsets: NDArray[np.int64], acting: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """The episodes [E] with a missing value; actions and rewards matter in the rows of `acting` [N] only."""
    bad = np.zeros(int(offsets[-1]), dtype=np.bool_)
    for key in COLUMNS:
        if key in arrays:
            gaps = gap_mask(arrays[key])
            rows = gaps.any(axis=1) if gaps.ndim == 2 else gaps
            bad |= rows & acting if key in ("actions", "rewards") else rows
    return np.logical_or.reduceat(bad, offsets[:-1])


def held(
    arrays: Mapping[str, NDArray[Any]],
    offsets: NDArray[np.int64],
    acting: NDArray[np.bool_],
    numbers: range | NDArray[Any],
    name: str,
    own: bool,
) -> tuple[dict[str, NDArray[Any]], dict[tuple[str, int], int]]:
    """The arrays with every missing value replaced by the one before it in the episode, and how many by column.

    A missing next observation is that of its own row. Raises `DatasetError` for a gap at the beginning of an episode,
    with the number of its row in `numbers` [N]. `own` matrices may be changed.
    """
    filled, counts = dict(arrays), {}
    for key in COLUMNS:
        if key not in arrays:
            continue
        gaps = gap_mask(arrays[key])
        if key in ("actions", "rewards"):
            gaps &= acting if gaps.ndim == 1 else acting[:, None]
        if not gaps.any():
            continue
        array = arrays[key]
        if not (own and key in MATRICES and array.flags.writeable):
            array = array.copy()
        if key == "next_observations":
            array[gaps] = filled["observations"][gaps]
        else:
            array = _filled(array, gaps, offsets, numbers, f"{name}: {key}", key)
        filled[key] = array
        for column, count in enumerate(np.atleast_1d(gaps.sum(axis=0)).tolist()):
            if count:
                counts[key, column] = count
    return filled, counts


def _filled(
    array: NDArray[Any],
    gaps: NDArray[np.bool_],
    offsets: NDArray[np.int64],
    numbers: range | NDArray[Any],
    place: str,
    key: str,
) -> NDArray[Any]:
    """An array with the last known value of the episode in every gap."""
    table, missing = (array[:, None], gaps[:, None]) if array.ndim == 1 else (array, gaps)
    rows = np.arange(len(table))
    begins = np.repeat(offsets[:-1], np.diff(offsets))
    for column in np.flatnonzero(missing.any(axis=0)).tolist():
        known = np.maximum.accumulate(np.where(missing[:, column], -1, rows))
        bad = known < begins
        if bad.any():
            row = int(numbers[bad.argmax()])
            raise DatasetError(
                f"{place} is missing at row {row}, column {column}, the beginning of an episode, where there is no "
                'value to hold; gaps = "drop" leaves such episodes out',
                at=(key, row),
            )
        table[:, column] = table[known, column]
    return table[:, 0] if array.ndim == 1 else table
