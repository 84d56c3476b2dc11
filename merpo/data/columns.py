"""The mapping from a log file's columns to a dataset's arrays: `--columns FILE.toml`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

from pydantic import Field, ValidationError

from merpo.components.component import Settings, tuples
from merpo.data.csv_dialect import is_number
from merpo.data.csv_format import CsvFormat
from merpo.data.dataset import TaskDataset
from merpo.data.from_arrays import from_arrays
from merpo.data.joined import Joined, by_row
from merpo.data.labels import Labels
from merpo.data.leave_out import require_labels, require_numbers
from merpo.data.parquet_table import ParquetTable
from merpo.data.table_files import CsvTable, Table, dims, read_table
from merpo.data.table_files import labels as labels_of_column
from merpo.data.toml_files import read_import_file
from merpo.errors import DatasetError, nearest
from merpo.lazy import np
from merpo.recipe.errors import recipe_error
from merpo.types import Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Columns", "read_columns"]

# The arrays of a log, in the order in which they are looked for.
KEYS = ("observations", "actions", "rewards", "next_observations", "terminations", "truncations", "episodes")
MATRICES = ("observations", "actions", "next_observations")


class Columns(Settings):
    """Names of columns (csv, parquet) or arrays (npz); several are joined into one matrix, in this order."""

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
    episodes: str | None = Field(None, description="Label of each row's episode, e.g. a day; rows stay in order.")
    action_low: tuple[float, ...] | None = Field(
        None, min_length=1, max_length=10_000, description="Least action per dimension, scaled to -1."
    )
    action_high: tuple[float, ...] | None = Field(
        None, min_length=1, max_length=10_000, description="Greatest action per dimension, scaled to 1."
    )
    csv: CsvFormat | None = Field(None, description="How csv files are written, where that cannot be found.")

    @property
    def numeric(self) -> tuple[str, ...]:
        """The names of all columns of numbers that must be there."""
        flags = [name for name in (self.terminations, self.truncations) if name]
        return (*self.observations, *self.actions, self.rewards, *(self.next_observations or ()), *flags)

    def table(self, path: Path) -> Table:
        """The columns of a file; raises `DatasetError` if it cannot be read."""
        return read_table(path, self.csv, self.numeric, (self.episodes,) if self.episodes else ())

    def dataset(self, table: Table, place: str, task: Task, name: str, leave_out: Sequence[str] = ()) -> TaskDataset:
        """The dataset in a file's columns; messages of `DatasetError` begin with `place`, the file's path.

        `leave_out` are episodes that are not read: their labels, or their numbers where they have none.
        """
        try:
            return self._dataset(table, place, task, name, leave_out)
        except OSError as error:
            raise DatasetError(f"{place}: cannot be read: {error.strerror or error}") from None
        except MemoryError:
            raise DatasetError(f"{place}: does not fit into memory") from None

    def _dataset(self, table: Table, place: str, task: Task, name: str, leave_out: Sequence[str]) -> TaskDataset:
        found = {key: names for key in KEYS if (names := self._names(key, table, place))}
        episodes = found.pop("episodes", None)
        if isinstance(table, CsvTable):
            if episodes and leave_out:
                table.leave_out(episodes[0], leave_out)
            table.load([name for names in found.values() for name in names], episodes or [])
        given: dict[str, Any] = {}
        keep = None
        if episodes is not None:
            labels = labels_of_column(table, episodes[0])
            keep = _kept(table, labels, leave_out, place)
            given["episodes"] = labels.values() if keep is None else labels.values()[keep]
        if _holds_episodes(table, found["rewards"][0], found["actions"][0]):
            given |= {key: by_row(table, names, place, key in MATRICES) for key, names in found.items()}
        else:
            arrays = {key: Joined(table, names, place, keep) for key, names in found.items()}
            lazy = MATRICES if arrays["observations"].ndim <= 2 else ()
            given |= {key: array if key in lazy else np.asarray(array) for key, array in arrays.items()}
        bounds = {"action_low": self.action_low, "action_high": self.action_high}
        numbers = () if episodes is not None else require_numbers(leave_out, place)
        try:
            data = from_arrays(**given, **bounds, task=task, name=place, leave_out=numbers)
        except DatasetError as error:
            hint = "" if "within [-1, 1]" not in str(error) else "; give action_low and action_high in --columns"
            raise DatasetError(f"{error}{_location(table, keep, error)}{hint}") from None
        return TaskDataset(**{**vars(data), "name": name})

    def _names(self, key: str, table: Table, place: str) -> tuple[str, ...]:
        """The columns of an array: the configured ones, else the column named `key` if it is optional and there."""
        chosen = getattr(self, key)
        if chosen is None:
            return (key,) if key in table else ()
        return tuple(_column(table, name, place) for name in ((chosen,) if isinstance(chosen, str) else chosen))


def read_columns(path: Path | None) -> Columns:
    """The mapping in a TOML file, by default the names of merpo's arrays; raises `RecipeError` if it is invalid."""
    if path is None:
        return Columns()
    tables = tuples(read_import_file(path))
    try:
        return Columns.model_validate(tables)
    except ValidationError as error:
        raise recipe_error(error, str(path), Columns, tables) from None


def _column(table: Table, name: str, place: str) -> str:
    """The name of a column as the file writes it; raises `DatasetError` if there is none."""
    if name in table:
        return name
    same = [other for other in table if normalize("NFC", other) == normalize("NFC", name)]
    if len(same) == 1:  # accents are one character in one of them and two in the other
        return same[0]
    known = ", ".join(list(table)[:20])
    raise DatasetError(
        f"{place}: no column {name[:80]!r}{nearest(name[:80], table)}; columns here: {known}; "
        f"map them with --columns FILE.toml{_header_hint(table)}"
    )


def _header_hint(table: Table) -> str:
    """A hint where the first row of a csv file was perhaps not taken for what it is."""
    if not isinstance(table, CsvTable) or table.given.header is not None:
        return ""
    if not table.dialect.header:
        return ". Its first row has values, so its columns have numbers; if it has names, set header = true under [csv]"
    if any(is_number(cell) for cell in table.first):
        return ". Its first row has numbers; if it has no names, set header = false under [csv]"
    return ""


def _kept(table: Table, labels: Labels, leave_out: Sequence[str], place: str) -> NDArray[Any] | None:
    """The rows that are not left out; None for all, also of a csv file, which is read without the others."""
    if not leave_out:
        return None
    if isinstance(table, CsvTable):
        require_labels(leave_out, [*table.left_out_labels, *labels.texts], place)
        return None
    require_labels(leave_out, labels.texts, place)
    codes = [labels.texts.index(label) for label in leave_out]
    kept: NDArray[Any] = ~np.isin(labels.codes, codes)
    return kept


def _holds_episodes(table: Table, rewards: str, actions: str) -> bool:
    """Whether each row of a table holds a whole episode: its rewards are a list, and not the one number of a step."""
    if not isinstance(table, ParquetTable) or dims(table, rewards) != 2:
        return False
    values = table[rewards]
    return isinstance(values, list) or values.shape[1] != 1 or dims(table, actions) == 3


def _location(table: Table, keep: NDArray[Any] | None, error: DatasetError) -> str:
    """Where an error is in the file, if that is not the row that it names."""
    if error.at is None:
        return ""
    if isinstance(table, CsvTable):
        return f"; that is line {table.line(error.at[1])} of the file"
    return "" if keep is None else f"; that is row {int(np.flatnonzero(keep)[error.at[1]])} of the file"
