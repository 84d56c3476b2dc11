"""Columns and arrays of a file that an import does not use: those that tell where episodes end are refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from merpo.data.csv_cells import ZEROS
from merpo.data.csv_dialect import BOOLEANS
from merpo.data.looked import Looked
from merpo.data.runs import CYCLE, runs_of
from merpo.errors import DatasetError
from merpo.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["can_tell", "check_unused", "look_at", "truths"]

WORDS = {**BOOLEANS, "1": 1.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0}
FLAG_NAME = re.compile(
    r"(?:^|[^a-z])(?:dones?|terminals?|terminated?|terminations?|truncat\w*|time_?outs?|absorbing|resets?|step_?types?|"
    r"(?:episode|ep|traj|trajectory)s?_?(?:ends?|starts?|offsets?|lengths?|lens?|terminals?|boundar\w+))(?:$|[^a-z])"
)
STEP_NAME = re.compile(r"(?:^|[^a-z])(?:t|k|i|time|frame|index|(?:time_?)?steps?|frame_?index)(?:$|[^a-z])")
DISCOUNTS = ("discount", "discounts")  # of RLDS, 0 where an episode terminates; `is_terminal` tells the same


def look_at(value: Any, rows: tuple[int, ...]) -> Looked:
    """What the values of a column or array tell, where there are `rows` [N] or [E, L] rewards."""
    return Looked(truths(value), _is_set(value), _restarts(value, rows), _runs(value, rows))


def can_tell(name: str, size: int, rows: tuple[int, ...]) -> bool:
    """Whether an array of this size may tell of episodes: one with several numbers for a reward by its name only."""
    return size <= 2 * int(np.prod(rows)) or FLAG_NAME.search(name.lower()) is not None


def check_unused(
    look: Callable[[str], Looked],
    unused: Iterable[str],
    flags: Mapping[str, Any],
    rows: tuple[int, ...],
    labels: Any,
    place: str,
) -> list[str]:
    """Notes on the unused columns of a file; raises `DatasetError` for those that seem to tell where episodes end.

    `look` gives what a column tells, and `rows` [N] or [E, L] is the shape of the rewards.

    Unless they repeat one of `flags` [N], which are used, or the ends or starts of the episodes of `labels` [N].
    """
    known = [truth for flag in flags.values() if (truth := truths(flag)) is not None]
    known += _edges(labels)
    suspects, notes = [], []
    for name in unused:
        looked = look(name)
        reason = _suspicion(name, looked, known, rows)
        if reason and not (name.lower() in DISCOUNTS and "terminations" in flags):
            suspects.append((name, reason))
        if not reason and not known and looked.restarts:
            told = f"{name[:80]!r} counts up and starts again, as steps of episodes do"
            if STEP_NAME.search(name.lower()):
                suspects.append((name, "counts up and starts again, as steps of episodes do"))
            else:
                notes.append(f"{told}; if so, give episodes, or flags of their ends")
    if suspects:
        found = "; ".join(f"{name[:80]!r} {why}" for name, why in suspects[:10])
        names = ", ".join(f'"{name[:80]}"' for name, _ in suspects[:10])
        raise DatasetError(
            f"{place}: not used, although it may tell where episodes end: {found}. Assign it in --columns FILE.toml, "
            "as terminations (the task ended), truncations (a time limit), ends (either), starts (the first row) or "
            f"episodes (a label per row), or say that it is none there: ignore = [{names}] (--ignore)"
        )
    return notes


def _suspicion(name: str, looked: Looked, known: Iterable[NDArray[np.bool_]], rows: tuple[int, ...]) -> str:
    """Why a column is taken for a flag, empty if it is not."""
    truth, every = looked.truth, list(known)
    if truth is not None:
        as_many = truth.size in (int(np.prod(rows)), *(() if every else (2 * int(np.prod(rows)),)))
        if as_many:
            return "" if _repeats(truth, every) else "holds zeros and ones, as flags do"
    if every:
        return ""
    if FLAG_NAME.search(name.lower()) and looked.is_set:
        return "has the name of a flag"
    return "" if looked.restarts and looked.runs == CYCLE else looked.runs  # a counter to three, of which a note tells


def _edges(labels: Any) -> list[NDArray[np.bool_]]:
    """The last rows [N] and the first rows [N] of labelled episodes."""
    if labels is None:
        return []
    found = np.asarray(labels)
    if found.ndim != 1 or not found.size:
        return []
    changes = np.asarray(found[1:] != found[:-1], dtype=np.bool_)
    return [np.append(changes, True), np.append(True, changes)]


def truths(value: Any) -> NDArray[np.bool_] | None:
    """The truth values of an array or column of zeros and ones, of which it has both; None for any other.

    Of arrays per episode, they are those of all episodes.
    """
    if isinstance(value, list) and any(isinstance(one, np.ndarray) for one in value):
        return truths(np.concatenate([np.ravel(one) for one in value]))
    if isinstance(value, list):
        words = {text.strip().lower() for text in set(value)}
        if not words <= set(WORDS) or len({WORDS[word] for word in words}) < 2:
            return None
        return np.asarray([WORDS[text.strip().lower()] for text in value], dtype=np.bool_)
    array = np.asarray(value)
    if array.dtype.kind not in "biuf" or array.size < 2:
        return None
    ones = array == 1
    if not (ones | (array == 0)).all() or ones.all() or not ones.any():
        return None
    found: NDArray[np.bool_] = ones.ravel()
    return found


def _repeats(truth: NDArray[np.bool_], known: Iterable[NDArray[np.bool_]]) -> bool:
    """Whether a flag is the same as, or the opposite of, one that is used, or of the union of these."""
    every = list(known)
    if every:
        every.append(np.logical_or.reduce([one for one in every if one.shape == every[0].shape]))
    return any(one.shape == truth.shape and (bool((one == truth).all()) or bool((one != truth).all())) for one in every)


def _runs(value: Any, rows: tuple[int, ...]) -> str:
    """What the runs of equal values of a column seem to be, or the numbers of an array with other rows."""
    array = np.asarray(value) if not isinstance(value, list) or not value or isinstance(value[0], str) else None
    if array is None or not rows:
        return ""
    if array.size == int(np.prod(rows)):
        return runs_of(array).tells()
    whole = array.ndim == 1 and array.dtype.kind in "iu" and 1 < len(array) < rows[0] and len(rows) == 1
    if whole and (array >= 0).all():
        if int(array.sum(dtype=np.float64)) == rows[0]:
            return "adds up to the number of rows, as the lengths of episodes do"
        if array[-1] <= rows[0] and (array[1:] > array[:-1]).all():
            return "counts rows, as the ends or starts of episodes do"
    return ""


def _is_set(value: Any) -> bool:
    """Whether there are several values, and not all of them zero or empty."""
    if isinstance(value, list):
        return not {text.strip().lower() for text in set(value)} <= ZEROS
    array = np.asarray(value)
    return array.size > 1 and (array.dtype.kind not in "biuf" or bool((array != 0).any()))


def _restarts(value: Any, rows: tuple[int, ...]) -> bool:
    """Whether a column counts up from one value to others, and begins there again at least once."""
    if isinstance(value, list):
        try:
            array = np.asarray(value, dtype=np.float64)
        except ValueError:
            return False
    else:
        array = np.asarray(value)
    if array.shape != rows or array.ndim != 1 or array.dtype.kind not in "iuf" or len(array) < 4:
        return False
    begins = array == array[0]
    with np.errstate(invalid="ignore"):
        climbs = array[1:] > array[:-1]
    return bool(begins[1:].any()) and 2 * int(begins.sum()) <= len(array) and bool((climbs | begins[1:]).all())
