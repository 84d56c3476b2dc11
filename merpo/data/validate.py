"""Validation of offline datasets before training."""

from __future__ import annotations

from collections.abc import Sequence

from merpo.data.dataset import TaskDataset
from merpo.errors import DatasetError
from merpo.lazy import torch

__all__ = ["ARRAYS", "LARGEST", "check_dataset", "check_datasets"]

# Array -> its number of dims. All are float32 except the offsets (int64).
ARRAYS = {
    "observations": 2,
    "actions": 2,
    "rewards": 1,
    "next_observations": 2,
    "terminations": 1,
    "truncations": 1,
    "episode_offsets": 1,
}
_ACTION_TOLERANCE = 1e-5
LARGEST = 1e18  # twice as much can be squared in float32, and some hundred such squares be added up


def check_datasets(datasets: Sequence[TaskDataset], batch_size: int) -> None:
    """Raise `DatasetError` for the first dataset that is invalid, differs from the first in dims, or is too small."""
    if not datasets:
        raise DatasetError("no datasets: at least one task is needed")
    first = datasets[0]
    for data in datasets:
        check_dataset(data)
        if _dims(data) != _dims(first):
            raise DatasetError(
                f"{data.name}: (observation, action) dims are {_dims(data)}, but {first.name} has {_dims(first)}; "
                "all tasks must have the same spaces"
            )
        if len(data) < batch_size:
            raise DatasetError(
                f"{data.name}: {len(data)} transitions, fewer than a batch of {batch_size}; "
                "use a smaller batch or collect more"
            )


def check_dataset(data: TaskDataset, where: str | None = None) -> None:
    """Raise `DatasetError` if a dataset's arrays are invalid; messages begin with `where`, by default its name."""
    where = where or data.name
    _check_layout(data, where)
    _check_episodes(data, where)
    _check_values(data, where)


def _dims(data: TaskDataset) -> tuple[int, int]:
    return data.observations.shape[-1], data.actions.shape[-1]


def _check_layout(data: TaskDataset, where: str) -> None:
    """Check dtypes, and shapes [N, O], [N, A], [N, O], [N] with N, O, A >= 1."""
    for key, dims in ARRAYS.items():
        array = getattr(data, key)
        dtype = torch.int64 if key == "episode_offsets" else torch.float32
        if array.dtype != dtype:
            raise DatasetError(f"{where}: {key} is {array.dtype}, expected {dtype}")
        if array.dim() != dims:
            raise DatasetError(f"{where}: {key} has shape {tuple(array.shape)}, expected {dims} dim(s)")
    rows, observations = data.observations.shape
    if not rows:
        raise DatasetError(f"{where}: is empty, expected at least one transition")
    if 0 in _dims(data):
        raise DatasetError(f"{where}: (observation, action) dims are {_dims(data)}, expected at least 1 each")
    expected = {"next_observations": (rows, observations), "actions": (rows, data.actions.shape[1])}
    for key in ARRAYS:
        shape, wanted = tuple(getattr(data, key).shape), expected.get(key, (rows,))
        if key not in ("observations", "episode_offsets") and shape != wanted:
            raise DatasetError(f"{where}: {key} has shape {shape}, expected {wanted}, as observations have {rows} rows")


def _check_episodes(data: TaskDataset, where: str) -> None:
    """Check that offsets cover all rows without gaps, and flags are set at the last row of an episode only."""
    offsets, rows = data.episode_offsets, len(data)
    if len(offsets) < 2 or int(offsets[0]) != 0 or int(offsets[-1]) != rows:
        ends = (int(offsets[0]), int(offsets[-1])) if len(offsets) else "none"
        raise DatasetError(f"{where}: episode_offsets begin and end at {ends}, expected (0, {rows})")
    if bool((offsets.diff() <= 0).any()):
        at = int((offsets.diff() <= 0).nonzero()[0])
        raise DatasetError(f"{where}: episode_offsets do not increase at episode {at}")
    last = torch.zeros(rows, dtype=torch.bool)
    last[offsets[1:].cpu() - 1] = True
    for key in ("terminations", "truncations"):
        flags = getattr(data, key).cpu()
        _refuse(where, key, flags, (flags != 0.0) & (flags != 1.0), "0.0 or 1.0")
        _refuse(where, key, flags, (flags == 1.0) & ~last, "0.0 before the end of the episode")


def _check_values(data: TaskDataset, where: str) -> None:
    """Check that all numbers are finite and actions are in [-1, 1]."""
    expected = f"at most {LARGEST:g} in size, as training squares and adds up such numbers"
    for key in (key for key in ARRAYS if key != "episode_offsets"):
        array = getattr(data, key)
        if not _is_within(array, LARGEST):
            _refuse(where, key, array, ~array.isfinite(), "a finite number")
            if key != "actions":
                _refuse(where, key, array, array.abs() > LARGEST, expected)
    most = 1.0 + _ACTION_TOLERANCE
    if not _is_within(data.actions, most):
        expected = "within [-1, 1] (scale the actions of the environment to that box)"
        _refuse(where, "actions", data.actions, data.actions.abs() > most, expected)


def _is_within(array: torch.Tensor, limit: float) -> bool:
    """Whether all numbers are in [-limit, limit], which NaN is not; without a copy of the array."""
    low, high = array.aminmax()
    return -limit <= float(low) and float(high) <= limit


def _refuse(where: str, key: str, array: torch.Tensor, bad: torch.Tensor, expected: str) -> None:
    """Raise `DatasetError` for the first True of `bad`, which has the shape of `array`."""
    if not bool(bad.any()):
        return
    index = bad.nonzero()[0].tolist()
    rows = int(bad.flatten(1).any(1).sum()) if bad.dim() > 1 else int(bad.sum())
    row, *column = index
    place = f"row {row}" + "".join(f", column {c}" for c in column)
    got = float(array[tuple(index)])
    raise DatasetError(
        f"{where}: {key} is {got} at {place}, expected {expected}; {rows} of {len(array)} rows affected",
        (key, row),
        column[0] if column else None,
    )
