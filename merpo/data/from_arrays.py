"""Build one task's dataset from logged arrays: flat or by episode, with or without next observations."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from merpo.data.dataset import TaskDataset
from merpo.data.reading.choices import Bound, Choices, Gaps
from merpo.data.reading.real_numbers import column_labels
from merpo.data.reading.transitions import Origin, read_arrays
from merpo.errors import DatasetError
from merpo.types import Task

__all__ = ["Bound", "from_arrays"]


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
    clip_actions: bool = False,
    gaps: Gaps = "refuse",
    subtract: Bound | None = None,
    flatten: bool = False,
    missing: Sequence[float] = (),
    leave_out: Collection[int] = (),
    task: Task | None = None,
    name: str = "dataset",
    note: Callable[[str], None] = print,
) -> TaskDataset:
    """A validated dataset from NumPy arrays (masked ones too), PyTorch tensors, frames or lists, in time order.

    Flat arrays have N rows: observations [N, O], actions [N, A], the others [N]. `episodes` [N] labels each row's
    episode; without it an episode ends wherever `terminations` or `truncations` is 1. Without `next_observations`
    each row's next observation is the following row's observation. The last row of an episode then has none: where
    the episode terminates it is kept, with its own observation in that place, and otherwise it is left out.

    Arrays by episode are lists of such arrays, or blocks [E, L, O] and [E, L, A] and [E, L]; without
    `next_observations` each episode has one more observation than actions.

    Actions between `action_low` and `action_high` (a number, or one per dimension) are scaled to [-1, 1];
    `clip_actions` moves those outside to the bounds. A missing value (NaN, masked, None, NA, or a number in `missing`)
    is refused, or `gaps` says "drop", which leaves its episode out, or "hold", which repeats the value before it.
    `subtract` is subtracted from the observations in double precision. `flatten` makes one row of numbers of each
    image or matrix. `leave_out` are the numbers (from 0) of episodes that are left out, whatever they hold.

    Without `truncations`, an episode that does not terminate at its last row counts as truncated there. `note` is
    told what is left out, and what looks wrong. Raises `DatasetError` that names the array, the value found and the
    value expected.
    """
    given = {
        "observations": observations,
        "actions": actions,
        "rewards": rewards,
        "next_observations": next_observations,
        "terminations": terminations,
        "truncations": truncations,
    }
    choices = Choices(action_low, action_high, clip_actions, gaps, subtract, flatten, missing, leave_out)
    labels = {key: names for key in ("observations", "actions") if (names := column_labels(given[key])) is not None}
    try:
        read = read_arrays(given, choices, episodes=episodes, task=task, name=name, origin=Origin(labels))
    except DatasetError as error:
        moved = error.at is not None and "that is row" not in str(error) and f"at row {error.at[1]}" not in str(error)
        place = f"; that is row {error.at[1]} of the arrays" if moved and error.at is not None else ""
        raise DatasetError(f"{error}{place}", error.at, error.column) from None
    for line in read.account.lines():
        note(f"{name}: {line}")
    return read.data
