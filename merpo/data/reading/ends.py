"""Where episodes end and how, from the flags that logs of different libraries have.

`terminations` and `truncations` are those of Gymnasium. `ends` are set at the last row of an episode however it ended
(`dones`), `starts` at the first (`episode_starts`, `is_first`). `finals` are set at a row that holds an episode's last
observation and no action (`is_last` of RLDS); with next observations every row has an action, and they are `ends`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from merpo.errors import DatasetError
from merpo.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FLAGS", "Ends", "as_truths", "read_ends"]

FLAGS = ("terminations", "truncations", "ends", "starts", "finals")
MARKS: tuple[str, ...] = ("terminations", "truncations", "ends")  # at the row of an episode's last action


class Ends(NamedTuple):
    """The end of every episode of N rows."""

    terminations: NDArray[np.bool_]  # [N]
    truncations: NDArray[np.bool_] | None  # [N], None where no flag tells: all ends that do not terminate
    last: NDArray[np.bool_]  # [N], the last row of every episode
    final: NDArray[np.bool_]  # [N], rows that hold an episode's last observation only
    notes: list[str]


def read_ends(
    arrays: Mapping[str, NDArray[Any]],
    blocks: NDArray[np.bool_] | None,
    final: NDArray[np.bool_],
    *,
    whole: bool,
    called: Mapping[str, str],
    name: str,
) -> Ends:
    """The ends of episodes that the flags among `arrays` tell, and the blocks, whose last rows `blocks` marks.

    `whole`: a block is an episode, so that no other one may begin in it. `called` has the flags' names in the log.
    Raises `DatasetError` for flags that are not 0 or 1, or contradict each other.
    """
    flags = {key: _flag(arrays[key], key, name) for key in FLAGS if key in arrays}
    finals = flags.pop("finals", None)
    if finals is not None and "next_observations" in arrays:
        flags["ends"] = finals | flags.get("ends", finals)
        finals = None
    final = final if finals is None else final | finals
    word = {key: called.get(key, key) for key in FLAGS}
    terminated, truncated, notes = _kinds(flags, word, name)
    marks = {key: _at_last(flags[key], final) for key in MARKS if key in flags}
    if finals is not None:
        marks["finals"] = finals
    last = np.logical_or.reduce([np.zeros_like(final), *marks.values()])
    starts = flags.get("starts")
    if starts is not None:
        _check_starts(starts, last, word, name)
        last[:-1] |= starts[1:]
    if blocks is not None:
        if whole:
            _check_inside(marks, starts, blocks, word, name)
        last |= blocks
    last[-1] = True
    ended = np.zeros_like(last) if terminated is None else _at_action(terminated, final, last)
    return Ends(ended, truncated if finals is None else None, last, final, notes)


def as_truths(array: Any) -> Any:
    """A flag of zeros and ones as truth values, which take less memory; anything else as it is."""
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iuf" or isinstance(array, np.ma.MaskedArray):
        return array
    ones = array == 1
    return ones if (ones | (array == 0)).all() else array


def _flag(array: NDArray[Any], key: str, name: str) -> NDArray[np.bool_]:
    """A flag [N]; raises `DatasetError` for any value but 0 and 1."""
    bad = (array != 0) & (array != 1)
    if bad.any():
        row = _first(bad)
        raise DatasetError(
            f"{name}: {key} is {float(array[row])} at row {row}, expected 0.0 or 1.0; "
            f"{int(bad.sum())} of {len(array)} rows affected",
            at=(key, row),
        )
    found: NDArray[np.bool_] = array == 1
    return found


def _kinds(
    flags: Mapping[str, NDArray[np.bool_]], word: Mapping[str, str], name: str
) -> tuple[NDArray[np.bool_] | None, NDArray[np.bool_] | None, list[str]]:
    """Terminations and truncations [N], each None if no flag tells."""
    terminated, truncated, ends = (flags.get(key) for key in ("terminations", "truncations", "ends"))
    if ends is None:
        return terminated, truncated, []
    if terminated is not None:
        _require_within(terminated, ends, word["terminations"], word["ends"], name)
        if truncated is None:
            return terminated, ends & ~terminated, []
        _require_within(truncated, ends, word["truncations"], word["ends"], name)
        _require_within(ends, terminated | truncated, word["ends"], "neither flag", name)
        return terminated, truncated, []
    if truncated is None:
        note = f"{word['ends']} alone does not tell a time limit from the end of a task: all are read as terminations"
        return ends, None, [f"{note}{_equal_lengths(ends)}"]
    both = truncated & ends
    if both.any():  # as Stable-Baselines3 has them: an end by a time limit is an end, too
        _require_within(truncated, ends, word["truncations"], word["ends"], name)
    return ends & ~truncated, truncated, []


def _equal_lengths(ends: NDArray[np.bool_]) -> str:
    """A hint where all episodes that end are equally long, as time limits make them."""
    lengths = np.diff(np.flatnonzero(ends), prepend=-1)
    if len(lengths) < 3 or len(set(lengths.tolist())) > 1:
        return ""
    return f", although every episode has {int(lengths[0])} rows; if that is a time limit, assign it to truncations"


def _require_within(inner: NDArray[np.bool_], outer: NDArray[np.bool_], key: str, other: str, name: str) -> None:
    """Raise `DatasetError` unless the rows of one flag are rows of the other."""
    bad = inner & ~outer
    if bad.any():
        row = _first(bad)
        found = f"{other} is 0" if other != "neither flag" else "no termination or truncation is 1"
        raise DatasetError(
            f"{name}: {key} is 1 at row {row} where {found}, expected flags that agree; {int(bad.sum())} rows "
            "affected. Assign the flags that are right in --columns, and name the others there: ignore = [...]",
            at=("terminations", row),
        )


def _check_starts(starts: NDArray[np.bool_], marked: NDArray[np.bool_], word: Mapping[str, str], name: str) -> None:
    """Raise `DatasetError` if an episode ends and no other begins in the next row."""
    bad = marked[:-1] & ~starts[1:]
    if bad.any():
        row = _first(bad)
        raise DatasetError(
            f"{name}: {word['starts']} is 0 at row {row + 1} although an episode ends at row {row}, expected 1",
            at=("starts", row + 1),
        )


def _check_inside(
    marks: Mapping[str, NDArray[np.bool_]],
    starts: NDArray[np.bool_] | None,
    blocks: NDArray[np.bool_],
    word: Mapping[str, str],
    name: str,
) -> None:
    """Raise `DatasetError` if an episode that is given as one ends or begins anew before its last row."""
    for key, mark in marks.items():
        bad = mark & ~blocks
        if bad.any():
            row = _first(bad)
            raise DatasetError(
                f"{name}: {word[key]} is 1.0 at row {row}, expected 0.0 before the end of the episode; "
                f"{int(bad.sum())} of {len(blocks)} rows affected",
                at=(key, row),
            )
    if starts is not None and (bad := starts[1:] & ~blocks[:-1]).any():
        row = _first(bad) + 1
        raise DatasetError(
            f"{name}: {word['starts']} is 1.0 at row {row}, expected 0.0 within an episode", at=("starts", row)
        )


def _at_last(flag: NDArray[np.bool_], final: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A flag of an episode's last action, at the row of the episode's last observation if there is one."""
    moved = flag.copy()
    at = np.flatnonzero(flag[:-1] & final[1:] & ~final[:-1])
    moved[at], moved[at + 1] = False, True
    return moved


def _at_action(flag: NDArray[np.bool_], final: NDArray[np.bool_], last: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The inverse: a flag of an episode's last observation, at the row of the action that led there."""
    moved = flag & ~final
    moved[np.flatnonzero(flag[1:] & final[1:] & ~last[:-1])] = True
    return moved


def _first(mask: NDArray[np.bool_]) -> int:
    return int(mask.argmax())
