"""The transitions of one task in logged arrays, and the account of what was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from merpo.data.dataset import TaskDataset
from merpo.data.reading.account import Account
from merpo.data.reading.actions import scaled_actions
from merpo.data.reading.choices import Choices, check_gaps
from merpo.data.reading.ends import Ends, read_ends
from merpo.data.reading.extremes import FAR, extremes
from merpo.data.reading.float32 import float32_pair, offsets_of, to_float32, unresolved, write_float32
from merpo.data.reading.gaps import ADVICE, COLUMNS, gappy_episodes, held, with_gaps
from merpo.data.reading.in_place import blocks, compacted, is_reusable
from merpo.data.reading.labels import last_rows
from merpo.data.reading.layout import MATRICES, Episodes, Rows, flat_rows, require_episodes
from merpo.data.validate import check_dataset
from merpo.errors import DatasetError
from merpo.lazy import np, torch
from merpo.types import Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Origin", "Read", "read_arrays"]

TOLD = 10  # columns whose extreme value is told
CONTINUES = 1e-5  # of a column's largest value: observations that differ by less are the same one


class Read(NamedTuple):
    """A dataset, and the account of its reading."""

    data: TaskDataset
    account: Account


class Origin(NamedTuple):
    """What the arrays are called where they come from."""

    labels: Mapping[str, Sequence[str]] = {}  # array -> names of its columns
    flags: Mapping[str, str] = {}  # flag -> its name in the log
    used: Mapping[str, str] = {}  # names that were recognised
    unused: tuple[str, ...] = ()


def read_arrays(
    given: Mapping[str, Any] | Episodes,
    choices: Choices,
    *,
    episodes: Any = None,
    task: Task | None = None,
    name: str = "dataset",
    origin: Origin | None = None,
    own: bool = False,
) -> Read:
    """The dataset in logged arrays under the names of `from_arrays`, or flags under those of `ends.FLAGS`.

    `own`: the matrices are nobody else's, so that the dataset may be made in their memory. Raises `DatasetError` whose
    `at` is the array and the row in the given arrays.
    """
    origin = origin or Origin()
    check_gaps(choices.gaps, name)
    rows = flat_rows(given, name, choices.flatten, choices.leave_out, own)
    seen, after = rows.arrays["observations"].shape, rows.arrays.get("next_observations")
    if after is not None and after.shape != seen:
        raise DatasetError(f"{name}: next_observations has shape {after.shape}, expected {seen}, as observations have")
    if episodes is not None and rows.offsets is not None:
        raise DatasetError(f"{name}: episodes is given, expected none as the observations are arrays by {rows.blocks}")
    try:
        ends = read_ends(
            rows.arrays,
            _blocks(rows, episodes, name),
            rows.final,
            whole=rows.blocks != "environment",
            called=origin.flags,
            name=name,
        )
    except DatasetError as error:
        place = rows.place(error.at[1]) if error.at else ""
        raise DatasetError(f"{error}{f'; that is {place}' if place else ''}", error.at) from None
    del episodes  # which nothing else may hold
    reading = _Reading(rows, ends, choices, origin, name)
    del rows
    return reading.read(dict(task or {}))


def _blocks(rows: Rows, episodes: Any, name: str) -> NDArray[np.bool_] | None:
    """The last row of every block that is given as one [N], None if flags alone tell where episodes end."""
    if episodes is not None:
        return last_rows(episodes, len(rows.final), name)
    if rows.offsets is None:
        return None
    last = np.zeros(len(rows.final), dtype=np.bool_)
    last[rows.offsets[1:] - 1] = True
    return last


class _Reading:
    """One log on its way to a dataset: N rows of which some are left out."""

    def __init__(self, rows: Rows, ends: Ends, choices: Choices, origin: Origin, name: str) -> None:
        self.arrays = {key: rows.arrays[key] for key in COLUMNS if key in rows.arrays}
        self.choices, self.origin, self.name = choices, origin, name
        self.layout = rows._replace(arrays={})
        self.terminated, self.truncated, self.last, self.final = ends[:4]
        self.notes = [*rows.notes, *ends.notes]
        self.rows: range | NDArray[Any] = range(len(self.last))  # the number of each row in the given arrays
        self.followed = "next_observations" in self.arrays
        self.has_finals = bool(self.final.any())
        self.widths = {key: array.shape[1] if array.ndim == 2 else 1 for key, array in self.arrays.items()}

    def read(self, task: Task) -> Read:
        """The dataset and the account."""
        if self.choices.leave_out and self.layout.blocks != "episode":
            self.leave_out()
        self.mend_gaps()
        kept, offsets = self.kept, self.offsets
        lengths = np.add.reduceat(kept, offsets[:-1], dtype=np.int64)
        if (lengths < 1).any():
            at = int((lengths < 1).argmax())
            raise DatasetError(f"{self.name}: episode {at} has one row, expected two, or next_observations")
        index = np.flatnonzero(kept)
        data = self.dataset(index, np.concatenate([[0], np.cumsum(lengths)]), task)
        try:
            check_dataset(data)
        except DatasetError as error:
            raise self.located(error, data, index) from None
        if self.followed:
            self.count_breaks(data)
        self.tell_extremes(data, index)
        return Read(data, self.account(kept, offsets))

    @property
    def kept(self) -> NDArray[np.bool_]:
        """The rows [N] that become transitions: those with an action and a next observation, or none to come."""
        if self.followed:
            return np.ones_like(self.last)
        kept: NDArray[np.bool_] = ~self.final & (~self.last | self.terminated)
        return kept

    @property
    def offsets(self) -> NDArray[np.int64]:
        """Episode e is rows offsets[e] to offsets[e + 1] - 1."""
        return np.concatenate([[0], np.flatnonzero(self.last) + 1]).astype(np.int64)

    def labels(self, key: str) -> list[str]:
        """The names of an array's columns, those of the log or numbers from 0."""
        width = self.widths.get(key, self.widths["observations"])
        known = list(self.origin.labels.get("observations" if key == "next_observations" else key, ()))
        if len(known) == width:
            return known
        return [f"{key}[{i}]" for i in range(width)] if width > 1 else [key]

    def mend_gaps(self) -> None:
        """Leave out the episodes with missing values, or hold the last ones, as the user chose."""
        self.arrays = with_gaps(self.arrays, self.choices.missing, self.layout.own)
        if self.choices.gaps == "drop":
            self.drop_episodes()
        if self.choices.gaps == "hold":
            self.arrays, counts = held(self.arrays, self.offsets, self.kept, self.rows, self.name, self.layout.own)
            parts = [f"{count:,} of {self.labels(key)[column]}" for (key, column), count in counts.items()]
            self.notes += [f"gaps: the value before was held {', '.join(parts)}"] if parts else []

    def leave_out(self) -> None:
        """Leave out the episodes that the user named by their numbers."""
        count = len(self.offsets) - 1
        require_episodes(self.choices.leave_out, count, self.name)
        self.remove(np.isin(np.arange(count), list(self.choices.leave_out)))

    def drop_episodes(self) -> None:
        """Leave out the episodes with missing values."""
        bad = gappy_episodes(self.arrays, self.offsets, self.kept)
        if bad.all():
            raise DatasetError(
                f"{self.name}: each of the {len(bad)} episodes has a missing value, expected one without"
            )
        if bad.any():
            rewards = self.arrays["rewards"][np.repeat(bad, np.diff(self.offsets)) & ~self.final]
            self.notes.append(
                f"gaps: {int(bad.sum()):,} of {len(bad):,} episodes have missing values and are left out, "
                f"{len(rewards):,} rows with a reward of {np.nansum(rewards.astype(np.float64)):.5g}"
            )
            self.remove(bad)

    def remove(self, episodes: NDArray[np.bool_]) -> None:
        """Leave out episodes [E]."""
        keep = np.repeat(~episodes, np.diff(self.offsets))
        index = np.flatnonzero(keep)
        for key, array in self.arrays.items():
            self.arrays[key] = self.of_rows(array, index) if key in MATRICES else array[keep]
        self.rows = index if isinstance(self.rows, range) else self.rows[keep]
        self.last, self.final = self.last[keep], self.final[keep]
        self.terminated = self.terminated[keep]
        self.truncated = None if self.truncated is None else self.truncated[keep]

    def of_rows(self, matrix: NDArray[Any], index: NDArray[np.int64]) -> NDArray[Any]:
        """The rows of an increasing index; the matrix is lost, as the result may lie in its memory."""
        if len(index) == len(matrix):
            return matrix
        return compacted(matrix, index) if self.layout.own and is_reusable(matrix) else matrix[index]

    def dataset(self, index: NDArray[np.int64], offsets: NDArray[np.int64], task: Task) -> TaskDataset:
        """The rows of `index` as transitions, in float32."""
        less = offsets_of(self.choices.subtract, self.widths["observations"], self.name)
        self.notes += unresolved(self.arrays["observations"], self.labels("observations"), self.name, less)
        rewards = self.arrays["rewards"]
        rewards = rewards[index] if len(index) < len(rewards) else rewards
        self.notes += unresolved(rewards, self.labels("rewards"), self.name)
        try:
            chosen = self.of_rows(self.arrays.pop("actions"), index)
            actions, notes = scaled_actions(chosen, self.choices, self.labels("actions"), self.name)
        except DatasetError as error:
            raise self.located(error, None, index) from None
        del chosen
        self.notes += notes
        observations, following = self.states(index, less)
        ended = self.terminated[index]
        return TaskDataset(
            observations=torch.from_numpy(observations),
            actions=torch.from_numpy(actions),
            rewards=torch.from_numpy(to_float32(rewards)),
            next_observations=torch.from_numpy(following),
            terminations=torch.from_numpy(ended.astype(np.float32)),
            truncations=torch.from_numpy(self.cut(index, offsets, ended).astype(np.float32)),
            episode_offsets=torch.from_numpy(offsets.astype(np.int64)),
            task=task,
            name=self.name,
        )

    def states(
        self, index: NDArray[np.int64], less: NDArray[np.float64] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The observations and next observations of the rows of `index` in float32, less an offset per column."""
        own = self.layout.own
        observations, room = float32_pair(self.arrays.pop("observations"), less, own)
        if self.followed:  # all rows are kept
            given = self.arrays.pop("next_observations")
            if room is None:
                return observations, float32_pair(given, less, own)[0]
            write_float32(given, room, less)
            return observations, room
        following = np.empty_like(observations) if room is None else room
        for block in blocks(len(index), observations.shape[1]):
            rows = index[block]
            following[block] = observations[np.where(self.last[rows], rows, rows + 1)]
        return compacted(observations, index), following[: len(index)]

    def cut(self, index: NDArray[np.int64], offsets: NDArray[np.int64], ended: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Truncations of the dataset's rows: as given, or at every end that does not terminate."""
        if self.truncated is not None and (self.followed or self.has_finals):
            return self.truncated[index]
        found = np.zeros_like(ended)
        found[offsets[1:] - 1] = ~ended[offsets[1:] - 1]
        return found

    def located(self, error: DatasetError, data: TaskDataset | None, index: NDArray[np.int64]) -> DatasetError:
        """An error on a row of the dataset, with the name of its column, and the row of the given arrays."""
        if error.at is None:
            return error
        key, row = error.at
        source = int(index[row])
        if key == "next_observations" and not self.followed and not self.last[source]:
            source += 1
        row_given, text = int(self.rows[source]), str(error)
        place = self.layout.place(row_given)
        text += f"; that is {place}" if place else ""
        if error.column is not None and (label := self.labels(key)[error.column]) not in (
            key,
            f"{key}[{error.column}]",
        ):
            text += f"; that is the column {label}"
        if data is not None and key in COLUMNS and bool(getattr(data, key)[row].isnan().any()):
            text += f"; {ADVICE}"
        return DatasetError(text, (key, row_given), error.column)

    def count_breaks(self, data: TaskDataset) -> None:
        """Note the rows of episodes whose next observation is not the next row's observation."""
        seen, following = data.observations.numpy(), data.next_observations.numpy()
        inside = np.ones(len(data), dtype=np.bool_)
        inside[data.episode_offsets.numpy()[1:] - 1] = False
        count = int(inside.sum())
        least = CONTINUES * np.maximum(seen.max(axis=0), -seen.min(axis=0))
        breaks = inside[:-1]
        for block in blocks(len(breaks), seen.shape[1]):
            breaks[block] &= (np.abs(following[:-1][block] - seen[1:][block]) > least).any(axis=1)
        if breaks.any():
            self.notes.append(
                f"next_observations do not continue in the next row at {int(breaks.sum()):,} of {count:,} "
                f"rows within episodes, the first is row {int(self.rows[breaks.argmax()])}: that is right for "
                "transitions in any order, whose returns then mean nothing; in a log, an episode ends there"
            )

    def tell_extremes(self, data: TaskDataset, index: NDArray[np.int64]) -> None:
        """Note the values that are far from all others of their column."""
        told = [
            f"extreme value: {self.labels(one.key)[one.column]} is {one.value:.5g} at row "
            f"{int(self.rows[index[one.row]])}, where its median is {one.median:.5g}; if it stands for a missing "
            f"value: missing = [{one.value:.9g}]"
            for key in ("observations", "rewards")
            for one in extremes(key, getattr(data, key).numpy())
            if FAR < one.distance < np.inf
        ]
        self.notes += told[:TOLD]
        self.notes += [f"extreme values in {len(told) - TOLD} columns more"] if len(told) > TOLD else []

    def account(self, kept: NDArray[np.bool_], offsets: NDArray[np.int64]) -> Account:
        """The account; the log's returns are those of all its rows."""
        rewards = np.nan_to_num(self.arrays["rewards"].astype(np.float64), copy=False)
        acting = ~self.final
        returns = np.add.reduceat(rewards, offsets[:-1])
        left = acting & ~kept
        unacted = float(rewards[self.final].sum())
        if unacted:
            self.notes.append(
                f"rows with the last observation of an episode and no action have a reward of {unacted:.5g} in total, "
                'which is not used; if these rows have actions, assign that flag to "ends" in --columns'
            )
        held_on = int((kept & self.last & ~self.final).sum()) if not self.followed else 0
        if held_on:
            self.notes.append(
                f"{held_on:,} of {len(offsets) - 1:,} episodes terminate; their last observation stands in the place "
                "of the one after it, which is not in the log and has no value"
            )
        less = offsets_of(self.choices.subtract, self.widths["observations"], self.name)
        return Account(
            logged_rows=int(acting.sum()),
            left_out_rows=int(left.sum()),
            left_out_reward=float(rewards[left].sum()),
            logged_return_mean=float(returns.mean()),
            logged_return_std=float(returns.std()),
            unused=self.origin.unused,
            used=self.origin.used,
            notes=tuple(self.notes),
            subtracted=() if less is None else tuple(less.tolist()),
        )
