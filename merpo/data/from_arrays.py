"""Build one task's dataset from logged arrays: flat or by episode, with or without next observations."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias

from merpo.data.dataset import TaskDataset
from merpo.data.leave_out import require_episodes
from merpo.data.validate import check_dataset
from merpo.errors import DatasetError
from merpo.lazy import np, torch
from merpo.types import Task

__all__ = ["Bound", "from_arrays", "scale_actions"]

Arrays: TypeAlias = "dict[str, torch.Tensor | None]"

MATRICES = ("observations", "actions", "next_observations")


def from_arrays(
    observations: Any,
    actions: Any,
    rewards: Any,
    next_observations: Any = None,
    terminations: Any = None,
    truncations: Any = None,
    *,
    episodes: Any = None,
    action_low: Bound | None = None,
    action_high: Bound | None = None,
    leave_out: Collection[int] = (),
    task: Task | None = None,
    name: str = "dataset",
) -> TaskDataset:
    """A validated dataset from NumPy arrays, PyTorch tensors or lists, in time order.

    Flat arrays have N rows: observations [N, O], actions [N, A], the others [N]. `episodes` [N] labels each row's
    episode; without it an episode ends wherever `terminations` or `truncations` is 1. Without `next_observations`
    each row's next observation is the following row's observation, and the last row of every episode is dropped.

    Arrays by episode are lists of such arrays, or blocks [E, L, O] and [E, L, A] and [E, L]; without
    `next_observations` each episode has one more observation than actions.

    `leave_out` are the numbers (from 0) of episodes that are left out, whatever they hold.

    Actions between `action_low` and `action_high` (a number, or one per dimension) are scaled to [-1, 1]. Without
    `truncations`, an episode that does not terminate at its last row counts as truncated there. Raises
    `DatasetError` that names the array, the value found and the value expected.
    """
    given = {
        "observations": observations,
        "actions": actions,
        "rewards": rewards,
        "next_observations": next_observations,
        "terminations": terminations,
        "truncations": truncations,
    }
    dropped = None
    if _in_episodes(observations):
        if episodes is not None:
            raise DatasetError(f"{name}: episodes is given, expected none as the observations are arrays by episode")
        arrays, offsets = _concatenate_episodes(given, name, leave_out)
    else:
        arrays = {key: None if value is None else _tensor(value, key, name) for key, value in given.items()}
        begins = _offsets(arrays, episodes, name)
        dropped = begins[1:] - 1 if next_observations is None else None
        if leave_out:
            arrays, begins, gone = _without_episodes(arrays, begins, leave_out, name)
            if dropped is not None:
                gone[dropped] = True
            dropped = gone.nonzero().flatten()
        arrays, offsets = _with_successors(arrays, begins, name)
    data = _assemble(arrays, offsets, dict(task or {}), name)
    try:
        scaled = scale_actions(data.actions, action_low, action_high, name)
        data = TaskDataset(**{**vars(data), "actions": scaled})
        check_dataset(data)
    except DatasetError as error:
        raise DatasetError(str(error), _input_row(error.at, dropped, next_observations is None)) from None
    return data


def _input_row(at: tuple[str, int] | None, dropped: torch.Tensor | None, followed: bool) -> tuple[str, int] | None:
    """The position `at` (array, row) of the dataset in the input arrays, from which the rows `dropped` were removed.

    `followed`: next observations are those of the following rows.
    """
    if at is None or dropped is None:
        return at
    key, row = at
    for last in dropped.tolist():
        row += last <= row
    return (key, row + 1) if followed and key == "next_observations" else (key, row)


def _in_episodes(observations: Any) -> bool:
    """Whether the observations are a sequence of matrices or a block [E, L, O]."""
    if isinstance(observations, list | tuple) and len(observations):
        return _dims(observations[0]) == 2
    return _dims(observations) == 3


def _dims(value: Any) -> int:
    """The number of dims of an array, 0 if `value` is not an array."""
    try:
        return int(np.ndim(value))
    except ValueError:  # lists of unequal lengths
        return 0


def _tensor(value: Any, key: str, name: str) -> torch.Tensor:
    """A float32 tensor, [N, .] for `MATRICES` and [N] for the others; a single column is reshaped to that."""
    try:
        given = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DatasetError(f"{name}: {key} is not an array of numbers ({error!s:.120})") from None
    if given.dtype.kind not in "biuf":
        raise DatasetError(f"{name}: {key} is an array of {given.dtype}, expected real numbers")
    with np.errstate(over="ignore"):  # too large values become infinite; `check_dataset` reports their position
        array = torch.from_numpy(given.astype(np.float32, order="C", copy=True))
    if key in MATRICES and array.dim() == 1:
        array = array.unsqueeze(-1)
    if key not in MATRICES and array.dim() == 2 and array.shape[1] == 1:
        array = array.squeeze(-1)
    dims = 2 if key in MATRICES else 1
    if array.dim() != dims:
        raise DatasetError(f"{name}: {key} has shape {tuple(array.shape)}, expected {dims} dim(s)")
    return array


def _concatenate_episodes(
    given: Mapping[str, Any], name: str, leave_out: Collection[int] = ()
) -> tuple[Arrays, torch.Tensor]:
    """Concatenated episodes and their offsets [E + 1]; L + 1 observations are split into s and s'."""
    for key, value in given.items():
        if value is not None and not hasattr(value, "__len__"):
            raise DatasetError(f"{name}: {key} is {value!r:.40}, expected an array per episode, as for observations")
    count = len(given["actions"])
    for key, value in given.items():
        if value is not None and len(value) != count:
            raise DatasetError(f"{name}: {key} has {len(value)} episodes, expected {count}, as actions have")
    parts: dict[str, list[torch.Tensor]] = {key: [] for key, value in given.items() if value is not None}
    parts.setdefault("next_observations", [])
    lengths = []
    require_episodes(leave_out, count, name)
    for e in (e for e in range(count) if e not in leave_out):
        where = f"{name}, episode {e}"
        one = {key: _tensor(value[e], key, where) for key, value in given.items() if value is not None}
        steps, seen = len(one["actions"]), len(one["observations"])
        if "next_observations" not in one:
            if seen != steps + 1:
                raise DatasetError(
                    f"{where}: {seen} observations and {steps} actions, expected {steps + 1} observations including "
                    "the last one, or next_observations"
                )
            one["next_observations"] = one["observations"][1:]
            one["observations"] = one["observations"][:-1]
        for key, array in one.items():
            if len(array) != steps:
                raise DatasetError(f"{where}: {key} has {len(array)} rows, expected {steps}, as actions have")
            parts[key].append(array)
        lengths.append(steps)
    try:
        joined: Arrays = {key: torch.cat(parts.pop(key)) for key in list(parts)}
    except RuntimeError as error:
        raise DatasetError(f"{name}: episodes differ in their dimensions ({error!s:.120})") from None
    return joined, torch.tensor([0, *lengths]).cumsum(0)


def _offsets(arrays: Arrays, episodes: Any, name: str) -> torch.Tensor:
    """Episode offsets [E + 1]: a new episode begins at a new label, or after a terminated or truncated row."""
    rows = len(_required(arrays, "observations"))
    for key, array in arrays.items():
        if array is not None and len(array) != rows:
            raise DatasetError(f"{name}: {key} has {len(array)} rows, expected {rows}, as observations have")
    if not rows:
        raise DatasetError(f"{name}: is empty, expected at least one transition")
    last = torch.zeros(rows, dtype=torch.bool)
    last[-1] = True
    if episodes is not None:
        labels = _labels(episodes, rows, name)
        last[:-1] = torch.from_numpy(labels[1:] != labels[:-1])
        firsts = labels[np.flatnonzero(np.concatenate([[True], last[:-1].numpy()]))]
        if len(firsts) != len(set(firsts.tolist())):
            raise DatasetError(f"{name}: rows of an episode are not contiguous, expected each episode in one block")
    else:
        for key in ("terminations", "truncations"):
            if (flags := arrays[key]) is not None:
                last |= flags == 1.0
    return torch.cat([torch.zeros(1, dtype=torch.int64), last.nonzero().flatten() + 1])


def _without_episodes(
    arrays: Arrays, offsets: torch.Tensor, leave_out: Collection[int], name: str
) -> tuple[Arrays, torch.Tensor, torch.Tensor]:
    """The arrays and offsets of the other episodes, and which rows were left out [N]."""
    require_episodes(leave_out, len(offsets) - 1, name)
    kept = torch.ones(len(offsets) - 1, dtype=torch.bool)
    kept[list(leave_out)] = False
    lengths = offsets.diff()
    rows = kept.repeat_interleave(lengths)
    others: Arrays = {key: None if array is None else array[rows] for key, array in arrays.items()}
    return others, torch.cat([offsets[:1], lengths[kept].cumsum(0)]), ~rows


def _labels(episodes: Any, rows: int, name: str) -> np.ndarray:
    """Episode labels [N], one per row."""
    try:
        labels = np.asarray(episodes)
    except (TypeError, ValueError) as error:
        raise DatasetError(f"{name}: episodes is not an array ({error!s:.120})") from None
    if labels.shape != (rows,):
        raise DatasetError(f"{name}: episodes has shape {labels.shape}, expected ({rows},), a label per row")
    empty = "" if labels.dtype.kind == "U" else None
    missing = np.isnan(labels) if labels.dtype.kind == "f" else labels == empty
    if missing.any():
        raise DatasetError(f"{name}: episodes has no label in row {int(missing.argmax())}, expected one per row")
    return labels


def _with_successors(arrays: Arrays, offsets: torch.Tensor, name: str) -> tuple[Arrays, torch.Tensor]:
    """Add next observations from the following rows where they are missing; each episode's last row is dropped."""
    if arrays["next_observations"] is not None:
        return arrays, offsets
    ended = arrays["terminations"]
    if ended is not None and bool((ended != 0.0).any()):
        raise DatasetError(
            f"{name}: terminations without next_observations: the rows at which episodes end would be dropped; "
            "give next_observations, or episodes with one more observation than actions"
        )
    lengths = offsets.diff() - 1
    if bool((lengths < 1).any()):
        at = int((lengths < 1).nonzero()[0])
        raise DatasetError(f"{name}: episode {at} has one row, expected two, or next_observations")
    keep = torch.ones(len(_required(arrays, "observations")), dtype=torch.bool)
    keep[offsets[1:] - 1] = False
    rows = keep.nonzero().flatten()
    kept: Arrays = {"next_observations": _required(arrays, "observations")[rows + 1], "truncations": None}
    for key in [key for key in arrays if key not in kept]:  # one after the other, so that few are twice in memory
        array = arrays.pop(key)
        kept[key] = None if array is None else array[rows]
    return kept, torch.cat([offsets[:1], lengths.cumsum(0)])


def _required(arrays: Arrays, key: str) -> torch.Tensor:
    array = arrays[key]
    if array is None:
        raise DatasetError(f"{key} is missing, expected an array")
    return array


def _assemble(arrays: Arrays, offsets: torch.Tensor, task: Task, name: str) -> TaskDataset:
    """The dataset; by default no row terminates, and an episode that does not terminate is truncated at its end."""
    rewards = _required(arrays, "rewards")
    rows = len(rewards)
    ended = arrays.get("terminations")
    ended = torch.zeros(rows) if ended is None else ended
    cut = arrays.get("truncations")
    if cut is None:
        cut = torch.zeros(rows)
        cut[offsets[1:] - 1] = 1.0 - ended[offsets[1:] - 1]
    return TaskDataset(
        observations=_required(arrays, "observations"),
        actions=_required(arrays, "actions"),
        rewards=rewards,
        next_observations=_required(arrays, "next_observations"),
        terminations=ended,
        truncations=cut,
        episode_offsets=offsets,
        task=task,
        name=name,
    )


Bound: TypeAlias = "float | Sequence[float]"


def scale_actions(actions: torch.Tensor, low: Bound | None, high: Bound | None, name: str) -> torch.Tensor:
    """Scale actions [N, A] from the box `low` to `high` (a number, or one per dimension) to [-1, 1].

    Raises `DatasetError` if only one bound is given, the box is empty, or an action lies outside of it.
    """
    if low is None and high is None:
        return actions
    if low is None or high is None:
        raise DatasetError(f"{name}: action_low and action_high are {low} and {high}, expected both or neither")
    try:
        ends = [torch.as_tensor(np.asarray(bound, dtype=np.float64)) for bound in (low, high)]
    except (TypeError, ValueError):
        raise DatasetError(
            f"{name}: action_low and action_high are {low!r:.40} and {high!r:.40}, expected numbers"
        ) from None
    dims = actions.shape[-1]
    for key, end in zip(("action_low", "action_high"), ends, strict=True):
        if end.dim() > 1 or (end.dim() == 1 and len(end) != dims) or not bool(end.isfinite().all()):
            raise DatasetError(f"{name}: {key} is {end.tolist()}, expected a finite number or {dims} of them")
    least, most = (end.expand(dims) for end in ends)
    if not bool((least < most).all()):
        raise DatasetError(f"{name}: action_low is {least.tolist()}, expected less than action_high {most.tolist()}")
    scaled = 2.0 * (actions.double() - least) / (most - least) - 1.0
    bad = scaled.abs() > 1.0 + 1e-5
    if bool(bad.any()):
        row, column = (int(i) for i in bad.nonzero()[0])
        box = f"[{float(least[column]):g}, {float(most[column]):g}]"
        raise DatasetError(
            f"{name}: actions is {float(actions[row, column]):g} at row {row}, column {column}, expected within {box}, "
            f"its bounds; {int(bad.any(-1).sum())} of {len(actions)} rows affected",
            at=("actions", row),
        )
    return scaled.float()
