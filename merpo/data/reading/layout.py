"""Arrays of any layout as flat rows in time order: by episode, by environment, with or without a last observation."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from merpo.data.reading.real_numbers import dims, real_array
from merpo.errors import DatasetError
from merpo.lazy import np, torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MATRICES", "Episodes", "Rows", "flat_rows", "no_encoder", "require_episodes"]

MATRICES = ("observations", "actions", "next_observations")


class Rows(NamedTuple):
    """N rows in time order, and what their layout tells of episodes."""

    arrays: dict[str, NDArray[Any]]  # [N, .] for `MATRICES`, [N] for the others; NaN where a value is missing
    offsets: NDArray[np.int64] | None  # [E + 1] of blocks that are given one by one; None if all rows are one array
    final: NDArray[np.bool_]  # [N], rows that hold the last observation of an episode and nothing else
    blocks: str  # what a block is: "episode", "environment", or "" for rows that are one array
    numbers: list[int]  # of the blocks that were read
    notes: list[str]
    own: bool  # whether the matrices are nobody else's, and may be changed

    def place(self, row: int) -> str:
        """The position of a row in its block, empty for rows that are one array."""
        if self.offsets is None:
            return ""
        block = int(np.searchsorted(self.offsets, row, side="right")) - 1
        return f"row {row - int(self.offsets[block])} of {self.blocks} {self.numbers[block]}"


class Episodes(NamedTuple):
    """Episodes that are read one after the other, each as arrays with an observation more than actions."""

    each: Iterable[Mapping[str, Any]]
    rows: int  # observations of all, as far as is known: memory is taken for so many


def flat_rows(
    given: Mapping[str, Any] | Episodes,
    name: str,
    flatten: bool = False,
    leave_out: Collection[int] = (),
    own: bool = False,
) -> Rows:
    """The arrays of `given` as flat rows; None is left out. Raises `DatasetError` that begins with `name`.

    An array by episode with an observation more than actions gets a row for it, which is marked as final. Of arrays by
    episode those with a number in `leave_out` are not read. `own`: the matrices may be changed.
    """
    if isinstance(given, Episodes):
        return _joined(given.each, given.rows, name, flatten, "episode", None)
    known = {key: value for key, value in given.items() if value is not None}
    for key in ("observations", "actions", "rewards"):
        if key not in known:
            raise DatasetError(f"{name}: {key} is missing, expected an array")
    for key, value in known.items():
        if isinstance(value, torch.Tensor) and value.is_nested:  # which has no shape, and raises where it is asked
            raise DatasetError(f"{name}: {key} is a nested tensor, expected a list of tensors, one for each episode")
    if _in_blocks(known):
        known, blocks = _by_environment(known, name)
        if blocks != "":
            return _in_turn(known, name, flatten, blocks, leave_out if blocks == "episode" else ())
    arrays = {key: _shaped(value, key, name, flatten) for key, value in known.items()}
    return _one_array(arrays, name, own)


def _in_blocks(known: Mapping[str, Any]) -> bool:
    """Whether the arrays have a dim more than rows have: a sequence of matrices, or a block [E, L, O]."""
    observations = known["observations"]
    if isinstance(observations, list | tuple) and len(observations):
        total = 1 + dims(observations[0])
    else:
        total = dims(observations)
    return total >= 3 and not _one_each(known["rewards"], observations)


def _one_each(rewards: Any, observations: Any) -> bool:
    """Whether there is one reward per observation, so that an observation with more dims is a matrix or an image."""
    return dims(rewards) == 1 and len(rewards) == len(observations) and dims(next(iter(rewards), [0])) == 0


def _by_environment(known: Mapping[str, Any], name: str) -> tuple[dict[str, Any], str]:
    """Blocks [steps, environments, .] of a replay buffer as a block per environment, other blocks unchanged.

    The second value says what a block is: "" if there is one environment only, whose blocks become plain arrays.
    """
    if any(isinstance(value, list | tuple) for value in known.values()):
        return dict(known), "episode"
    arrays = {key: real_array(value, f"{name}: {key}") for key, value in known.items()}
    lead = arrays["observations"].shape[:2]
    if any(array.ndim < 2 or array.shape[:2] != lead for array in arrays.values()):
        return arrays, "episode"
    if lead[1] == 1 and (set(arrays) > {*MATRICES, "rewards"} or _steps_come_first(arrays)):
        return {key: array[:, 0] for key, array in arrays.items()}, ""
    if _steps_come_first(arrays):
        return {key: np.swapaxes(array, 0, 1) for key, array in arrays.items()}, "environment"
    return arrays, "episode"


def _steps_come_first(arrays: Mapping[str, NDArray[Any]]) -> bool:
    """Whether a block is [steps, environments, .] rather than [episodes, steps, .].

    An observation follows from the one before it, so next observations tell; without them, the first rows do.
    """
    seen = arrays["observations"]
    if "next_observations" in arrays:
        after = arrays["next_observations"]
        return _share(after[:-1] == seen[1:]) > _share(after[:, :-1] == seen[:, 1:])
    starts = arrays.get("starts")
    return starts is not None and bool(starts[0].all()) and not bool(starts[:, 0].all())


def _share(equal: NDArray[np.bool_]) -> float:
    return float(equal.mean()) if equal.size else 0.0


def _shaped(value: Any, key: str, name: str, flatten: bool) -> NDArray[Any]:
    """An array [N, .] for `MATRICES` and [N] for the others; a single column is reshaped to that."""
    array = real_array(value, f"{name}: {key}")
    if key in MATRICES and array.ndim == 1:
        array = array[:, None]
    if key not in MATRICES and array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if key in ("observations", "next_observations") and array.ndim >= 3:
        if not flatten:
            reason = no_encoder(array.shape[1:], array.dtype)
            raise DatasetError(f"{name}: {key} has shape {array.shape}, expected 2 dim(s): {reason}")
        array = array.reshape(len(array), -1)
    wanted = 2 if key in MATRICES else 1
    if array.ndim != wanted:
        raise DatasetError(f"{name}: {key} has shape {array.shape}, expected {wanted} dim(s)")
    return array


def no_encoder(row: tuple[int, ...], dtype: object) -> str:
    """The reason why rows of this shape with more than one dim are refused."""
    kind = "images" if str(dtype).startswith("uint") else "matrices or images"
    size = int(np.prod(row, dtype=np.float64))
    return (
        f"its rows are {kind} of {' x '.join(map(str, row))} {dtype}, for which merpo has no encoder; give features of "
        f"them instead, or flatten = true (--flatten) for {size:,} numbers in each row"
    )


def _one_array(arrays: dict[str, NDArray[Any]], name: str, own: bool) -> Rows:
    """Rows that are one array; one observation more than there are other rows is that after the last row."""
    rows, notes = len(arrays["observations"]), []
    others = {key: len(array) for key, array in arrays.items() if key != "observations"}
    final = np.zeros(rows, dtype=np.bool_)
    if rows > 1 and "next_observations" not in arrays and set(others.values()) == {rows - 1}:
        arrays = {key: array if key == "observations" else _padded(array) for key, array in arrays.items()}
        final[-1] = True
        notes = ["observations has a row more than actions: read as the observation after the last row"]
    for key, array in arrays.items():
        if len(array) != rows:
            raise DatasetError(f"{name}: {key} has {len(array)} rows, expected {rows}, as observations have")
    if not rows:
        raise DatasetError(f"{name}: is empty, expected at least one transition")
    return Rows(arrays, None, final, "", [], notes, own)


def _padded(array: NDArray[Any]) -> NDArray[Any]:
    """An array with a row of zeros at its end, beside an episode's last observation."""
    return np.concatenate([array, np.zeros((1, *array.shape[1:]), array.dtype)])


def require_episodes(leave_out: Collection[int], count: int, name: str) -> None:
    """Raise `DatasetError` for an episode to leave out that is not there, or if none would be left."""
    for number in leave_out:
        if not 0 <= number < count:
            raise DatasetError(f"{name}: no episode {number} to leave out, expected a number from 0 to {count - 1}")
    if leave_out and len(set(leave_out)) == count:
        raise DatasetError(f"{name}: all of its {count} episodes are left out, expected one that is not")


def _in_turn(known: Mapping[str, Any], name: str, flatten: bool, blocks: str, leave_out: Collection[int]) -> Rows:
    """Blocks that are given one by one, such as episodes, joined."""
    for key, value in known.items():
        if not isinstance(value, list | tuple) and dims(value) == 0:
            raise DatasetError(f"{name}: {key} is {value!r:.40}, expected an array per {blocks}, as for observations")
    count = len(known["actions"])
    for key, value in known.items():
        if len(value) != count:
            raise DatasetError(f"{name}: {key} has {len(value)} {blocks}s, expected {count}, as actions have")
    if not count:
        raise DatasetError(f"{name}: is empty, expected at least one transition")
    require_episodes(leave_out, count, name)
    numbers = [e for e in range(count) if e not in leave_out]
    rows = sum(_length(known["observations"][e]) for e in numbers)
    each = ({key: value[e] for key, value in known.items()} for e in numbers)
    return _joined(each, rows, name, flatten, blocks, numbers)


def _joined(
    each: Iterable[Mapping[str, Any]], rows: int, name: str, flatten: bool, blocks: str, numbers: list[int] | None
) -> Rows:
    """Blocks with these numbers, by default from 0, each copied when it is read, and about `rows` rows in total."""
    arrays: dict[str, NDArray[Any]] = {}
    offsets, ends = [0], []
    for i, given in enumerate(each):
        where = f"{name}, {blocks} {i if numbers is None else numbers[i]}"
        one, final = _block(given, where, flatten, blocks == "episode")
        start, end = offsets[-1], offsets[-1] + len(final)
        for key, array in one.items():
            made = arrays[key] if key in arrays else np.empty((rows, *array.shape[1:]), array.dtype)
            if made.shape[1:] != array.shape[1:]:
                raise DatasetError(
                    f"{name}: {blocks}s differ in their dimensions ({key} has rows of shape {array.shape[1:]} in "
                    f"{where.removeprefix(f'{name}, ')}, expected {made.shape[1:]})"
                )
            if made.dtype != array.dtype or end > len(made):
                made = _with_room(made, start, end, np.result_type(made, array))
            made[start:end] = array
            arrays[key] = made
        offsets.append(end)
        ends.append(final)
    arrays = {key: made[: offsets[-1]] for key, made in arrays.items()}
    known = list(range(len(ends))) if numbers is None else numbers
    return Rows(arrays, np.asarray(offsets), np.concatenate(ends), blocks, known, [], own=True)


def _length(value: Any) -> int:
    """The length of an array or a list, 0 for anything else."""
    try:
        return len(value)
    except TypeError:
        return 0


def _with_room(array: NDArray[Any], used: int, rows: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """An array of a type with room for so many rows, and the `used` first ones of another."""
    size = len(array) if rows <= len(array) else max(rows, len(array) + len(array) // 2)
    made = np.empty((size, *array.shape[1:]), dtype)
    made[:used] = array[:used]
    return made


def _block(
    given: Mapping[str, Any], where: str, flatten: bool, whole: bool
) -> tuple[dict[str, NDArray[Any]], NDArray[np.bool_]]:
    """The arrays of one block, with a final row for an observation after the last action, and which rows are final.

    `whole`: it is an episode, which needs that observation, or next observations.
    """
    one = {key: _shaped(value, key, where, flatten) for key, value in given.items()}
    steps, seen = len(one["actions"]), len(one["observations"])
    if not steps:
        raise DatasetError(f"{where}: has no actions, expected at least one")
    follows = "next_observations" in one or not whole
    if not follows and seen != steps + 1:
        raise DatasetError(
            f"{where}: {seen} observations and {steps} actions, expected {steps + 1} observations including "
            "the last one, or next_observations"
        )
    for key, array in one.items():
        if len(array) != steps and (follows or key != "observations"):
            raise DatasetError(f"{where}: {key} has {len(array)} rows, expected {steps}, as actions have")
    final = np.zeros(steps + (not follows), dtype=np.bool_)
    if not follows:
        final[-1] = True
        one = {key: array if key == "observations" else _padded(array) for key, array in one.items()}
    return one, final
