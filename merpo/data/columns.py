"""The mapping from a log file's columns to a dataset's arrays: `--columns FILE.toml`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from merpo.components.component import Settings, tuples
from merpo.data.csv_format import CsvFormat
from merpo.data.dataset import TaskDataset
from merpo.data.file_formats import read_file
from merpo.data.file_log import FileLog
from merpo.data.reading.choices import Choices, Gaps
from merpo.data.reading.ends import FLAGS
from merpo.data.reading.names import NAMES, recognised
from merpo.data.reading.transitions import Origin, Read, read_arrays
from merpo.data.reading.unused import check_unused
from merpo.data.table_columns import column_name, is_per_row, look
from merpo.data.table_files import Table
from merpo.data.toml_files import read_import_file
from merpo.errors import DatasetError, nearest
from merpo.recipe.errors import recipe_error
from merpo.types import Task

__all__ = ["Columns", "changed", "read_columns"]

MOST_TEXT = 400  # characters of the names that are told of one array
MOST_NAMES = 50  # names of unused columns that are told
REQUIRED = ("observations", "actions", "rewards")


class Columns(Settings):
    """Names of columns (csv, parquet) or arrays (npz, hdf5); several are joined into one matrix, in this order."""

    observations: tuple[str, ...] = Field(
        ("observations",), min_length=1, max_length=10_000, description="Observation s."
    )
    actions: tuple[str, ...] = Field(("actions",), min_length=1, max_length=10_000, description="Action a.")
    rewards: str = Field("rewards", description="Reward r.")
    next_observations: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        max_length=10_000,
        description="Next observation s'; by default the following row's observation.",
    )
    terminations: str | None = Field(None, description="1 where the environment ended the episode.")
    truncations: str | None = Field(None, description="1 where the time limit ended it.")
    ends: str | None = Field(None, description="1 at an episode's last row, however it ended.")
    starts: str | None = Field(None, description="1 at an episode's first row.")
    finals: str | None = Field(None, description="1 at a row with an episode's last observation and no action.")
    episodes: str | None = Field(None, description="Label of each row's episode, e.g. a day; rows stay in order.")
    ignore: tuple[str, ...] = Field((), max_length=10_000, description="Columns that are not to be used.")
    action_low: tuple[float, ...] | None = Field(
        None, min_length=1, max_length=10_000, description="Least action per dimension, scaled to -1."
    )
    action_high: tuple[float, ...] | None = Field(
        None, min_length=1, max_length=10_000, description="Greatest action per dimension, scaled to 1."
    )
    clip_actions: bool = Field(False, description="Move actions outside of their bounds to these, and count them.")
    gaps: Gaps = Field(
        "refuse", description="Of a missing value: refuse it, drop its episode, or hold the value before it."
    )
    missing: tuple[float, ...] = Field((), max_length=100, description="Numbers that stand for missing values.")
    subtract: Mapping[str, float] = Field(
        {}, max_length=10_000, description="Numbers to subtract from observations, by column or ARRAY[NUMBER]."
    )
    flatten: bool = Field(False, description="Make one row of numbers of each matrix or image.")
    csv: CsvFormat | None = Field(None, description="How csv files are written, where that cannot be found.")

    def table(self, path: Path) -> Table:
        """The columns of a file; raises `DatasetError` if it cannot be read."""
        chosen = [getattr(self, key) for key in NAMES]
        wanted = [name for one in chosen if one for name in ((one,) if isinstance(one, str) else one)]
        return read_file(path, self.csv, wanted)

    def dataset(self, table: Table, place: str, task: Task, name: str, leave_out: Sequence[str] = ()) -> TaskDataset:
        """The dataset in a file's columns; messages of `DatasetError` begin with `place`, the file's path."""
        return self.read(table, place, task, name, leave_out).data

    def read(self, table: Table, place: str, task: Task, name: str, leave_out: Sequence[str] = ()) -> Read:
        """The dataset in a file's columns, and the account of what was read and what was not used.

        `leave_out` are episodes that are not read: their labels, or their numbers where they have none.
        """
        try:
            return self._read(table, place, task, name, leave_out)
        except OSError as error:
            raise DatasetError(f"{place}: cannot be read: {error.strerror or error}") from None
        except MemoryError:
            raise DatasetError(f"{place}: does not fit into memory") from None

    def _read(self, table: Table, place: str, task: Task, name: str, leave_out: Sequence[str]) -> Read:
        chosen = self.names(table)
        names = {key: tuple(column_name(table, one, place) for one in found) for key, found in chosen.items()}
        taken = {one for found in names.values() for one in found}
        unused = [one for one in table if one not in taken]
        suspects = [one for one in unused if one not in self.ignore]
        log = FileLog(table, names, place, gaps=self.gaps != "refuse", exact=bool(self.subtract))
        log.load(suspects, leave_out)
        given = log.arrays()
        flags = {key: given[key] for key in FLAGS if key in given}
        rows = log.rows(given["rewards"])
        notes = check_unused(lambda one: look(table, one, rows), suspects, flags, rows, log.labels, place)
        widths = {one: log.width(one, len(rows)) for one in (*names["observations"], *names["actions"])}
        choices = self.choices({one: widths[one] for one in names["observations"]}, place)
        choices = choices._replace(leave_out=log.numbers_left_out)
        origin = self._origin(names, widths, unused)
        try:
            made = read_arrays(
                given,
                choices,
                episodes=log.take_labels(),
                task=task,
                name=place,
                origin=origin,
                own=log.reads_matrices(given),
            )
        except DatasetError as error:
            text = f"{error}{log.position(error)}{self._column(str(error), names)}"
            raise DatasetError(text, error.at, error.column) from None
        account = made.account.model_copy(update={"notes": (*notes, *made.account.notes)})
        return Read(TaskDataset(**{**vars(made.data), "name": name}), account)

    def names(self, table: Table) -> dict[str, tuple[str, ...]]:
        """The file's names for each key that it has: those of the mapping, else those that logs usually have."""
        found: dict[str, tuple[str, ...]] = {}
        for key in NAMES:
            chosen = getattr(self, key)
            if key in self.model_fields_set and chosen is not None:
                found[key] = (chosen,) if isinstance(chosen, str) else chosen
        for key in NAMES:
            if key not in found:
                taken = {*self.ignore, *(name for names in found.values() for name in names)}
                usual = recognised(key, table, taken)
                if usual and (key != "episodes" or usual == (key,) or self._is_per_row(table, usual[0], found)):
                    found[key] = usual
                elif key in REQUIRED:
                    found[key] = (key,)
        return {key: found[key] for key in NAMES if key in found}

    def _is_per_row(self, table: Table, name: str, found: Mapping[str, tuple[str, ...]]) -> bool:
        """Whether a column has a value for each reward: another array called `episode` may count them, say."""
        rewards = found["rewards"][0]
        return rewards in table and is_per_row(table, name, rewards)

    def choices(self, widths: Mapping[str, int], place: str) -> Choices:
        """The decisions on observations whose columns have these widths."""
        low, high = (
            (bound[0] if bound and len(bound) == 1 else bound) for bound in (self.action_low, self.action_high)
        )
        less = self._offsets(widths, place)
        return Choices(low, high, self.clip_actions, self.gaps, less, self.flatten, self.missing)

    def _origin(self, names: Mapping[str, tuple[str, ...]], widths: Mapping[str, int], unused: list[str]) -> Origin:
        """What the file calls its arrays."""
        labels = {key: _labels(names[key], widths) for key in ("observations", "actions")}
        return Origin(
            labels={**labels, "rewards": list(names["rewards"])},
            flags={key: names[key][0] for key in FLAGS if key in names},
            used={key: ", ".join(found)[:MOST_TEXT] for key, found in names.items() if self._is_told(key, found)},
            unused=_some(unused),
        )

    def _offsets(self, widths: Mapping[str, int], place: str) -> list[float] | None:
        """The numbers to subtract from each observation, whose columns have these widths; None if none is given."""
        if not self.subtract:
            return None
        keys = [
            (name, f"{name}[{i}]", f"observations[{i}]" if len(widths) == 1 else "")
            for name, width in widths.items()
            for i in range(width)
        ]
        for key in self.subtract:
            if not any(key in same for same in keys):
                raise DatasetError(
                    f"{place}: subtract: no observation {key[:80]!r}{nearest(key[:80], widths)}; expected one of "
                    f"{', '.join(list(widths)[:20])}, or such a name with [NUMBER]"
                )
        return [next((self.subtract[key] for key in reversed(same) if key in self.subtract), 0.0) for same in keys]

    def _column(self, text: str, names: Mapping[str, tuple[str, ...]]) -> str:
        """What the file calls the array that a message is about, if it has another name and the message lacks it."""
        for key, found in names.items():
            name = found[0][:80]
            told = re.search(rf"(?:'{re.escape(name)}'|: {re.escape(name)}\b)", text)
            about = re.search(rf": {key} (?:is|has|holds)\b", text) or (key == "episodes" and "contiguous" in text)
            if len(found) == 1 and about and not (told and found[0] != key):
                other = key not in self.model_fields_set and key not in REQUIRED
                hint = f'; if that is something else: ignore = ["{name}"] (--ignore)' if other else ""
                return f"{'' if found[0] == key else f'; {key} is {name!r} there'}{hint}"
        return ""

    def _is_told(self, key: str, found: tuple[str, ...]) -> bool:
        """Whether a user would not expect these names: they are neither merpo's own nor assigned."""
        return key not in self.model_fields_set and found != (key,)


def changed(columns: Columns, place: str, changes: Mapping[str, Any]) -> Columns:
    """The mapping with other values; raises `RecipeError` that begins with `place` if one is invalid."""
    tables = {**{key: getattr(columns, key) for key in columns.model_fields_set}, **tuples(changes)}
    try:
        return Columns.model_validate(tables)
    except ValidationError as error:
        raise recipe_error(error, place, Columns, tables) from None


def read_columns(path: Path | None) -> Columns:
    """The mapping in a TOML file, by default the names of merpo's arrays; raises `RecipeError` if it is invalid."""
    if path is None:
        return Columns()
    tables = tuples(read_import_file(path))
    try:
        return Columns.model_validate(tables)
    except ValidationError as error:
        raise recipe_error(error, str(path), Columns, tables) from None


def _labels(names: tuple[str, ...], widths: Mapping[str, int]) -> list[str]:
    """A name for each column of the joined matrix."""
    return [label for name in names for label in ([name] if widths[name] == 1 else _numbered(name, widths[name]))]


def _numbered(name: str, width: int) -> list[str]:
    return [f"{name}[{i}]" for i in range(width)]


def _some(names: Sequence[str]) -> tuple[str, ...]:
    """Names for a line of text and a manifest."""
    more = len(names) - MOST_NAMES
    return (*(name[:80] for name in names[:MOST_NAMES]), *([f"and {more} more"] if more > 0 else []))
