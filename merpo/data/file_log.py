"""The log in a file: its columns as the arrays of `read_arrays`, without the episodes that are left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, final

from merpo.data.joined import Joined, by_row
from merpo.data.leave_out import require_labels, require_numbers
from merpo.data.parquet_table import ParquetTable
from merpo.data.reading.ends import FLAGS, as_truths
from merpo.data.reading.layout import MATRICES
from merpo.data.table_columns import label_column, matrix_of, number_column, width_of
from merpo.data.table_files import CsvTable, Table, dims
from merpo.errors import DatasetError
from merpo.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FileLog"]


@final
class FileLog:
    """The columns `names` of a table, by the arrays that they hold; messages of `DatasetError` begin with `place`.

    Next observations are read as they are stored, in float32, unless they are needed `exact`.
    """

    def __init__(
        self, table: Table, names: Mapping[str, Sequence[str]], place: str, gaps: bool, exact: bool = False
    ) -> None:
        self.table, self.names, self.place, self.gaps, self.exact = table, names, place, gaps, exact
        self.labels: Any = None  # of the rows that are read
        self.keep: NDArray[Any] | None = None  # the rows that are read; None for all
        self.numbers_left_out: list[int] = []
        self.by_row = self._holds_episodes()

    def load(self, watched: Sequence[str], leave_out: Sequence[str]) -> None:
        """Read the labels, without those to leave out, and what one pass over a csv file gives.

        `watched` are columns that are not used, but may tell of episodes. Without labels, episodes have numbers.
        """
        labelled = list(self.names.get("episodes", ()))
        if isinstance(self.table, CsvTable):
            if labelled and leave_out:
                self.table.leave_out(labelled[0], leave_out)
            numeric = [one for key, found in self.names.items() if key != "episodes" for one in found]
            rounded = [] if self.exact else self.names.get("next_observations", ())
            self.table.load(list(dict.fromkeys(numeric)), labelled, watched, rounded)
        if labelled:
            self._load_labels(labelled[0], leave_out)
        else:
            self.numbers_left_out = require_numbers(leave_out, self.place)

    def arrays(self) -> dict[str, Any]:
        """The arrays by their keys; matrices are read when they are converted to an array."""
        others = {key: found for key, found in self.names.items() if key != "episodes"}
        if self.by_row:
            return self._episodes(others)
        return {key: self._array(key, found) for key, found in others.items()}

    def reads_matrices(self, given: Mapping[str, Any]) -> bool:
        """Whether all matrices of `arrays` are read from the file, so that nobody else has them."""
        return all(isinstance(given[key], Joined) for key in MATRICES if key in given)

    def take_labels(self) -> Any:
        """The labels of the rows, which are not kept here."""
        labels, self.labels = self.labels, None
        return labels

    def _array(self, key: str, names: Sequence[str]) -> Any:
        if key in MATRICES:
            rounded = key == "next_observations" and not self.exact
            return matrix_of(self.table, tuple(names), self.place, self.gaps, self.keep, rounded)
        found = number_column(self.table, names[0], self.place, self.gaps and key == "rewards", self.keep)
        return as_truths(found) if key in FLAGS else found

    def _episodes(self, names: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """Arrays per episode; joined, with a label for each row, where an episode has no observation after its last."""
        found = {key: by_row(self.table, columns, self.place, key in MATRICES) for key, columns in names.items()}
        lengths = [len(actions) for actions in found["actions"]]
        if [len(observations) for observations in found["observations"]] != lengths or self.labels is not None:
            return found
        if any([len(one) for one in rows] != lengths for rows in found.values()):
            return found  # refused later, by episode
        self.labels = np.repeat(np.arange(len(lengths)), lengths)
        return {key: np.concatenate(rows) for key, rows in found.items()}

    def rows(self, rewards: Any) -> tuple[int, ...]:
        """The shape [N] or [E, L] of the rewards, [E] where each row of the file is an episode of its own length."""
        return (len(rewards),) if isinstance(rewards, list) else np.shape(rewards)

    def width(self, name: str, rewards: int) -> int:
        """The numbers in a row of a column, or in a step of an episode; the rewards have so many dims."""
        if isinstance(self.table, ParquetTable) and self.by_row:
            return self.table.width(name, within=True)
        return width_of(self.table, name, rewards)

    def position(self, error: DatasetError) -> str:
        """Where in the file the row of an error is, unless the message has it: rows may have been left out before."""
        if error.at is None:
            return ""
        row = error.at[1]
        if isinstance(self.table, CsvTable):
            line = self.table.line(row)
            return f"; that is line {line} of the file" if line else ""
        found = row if self.keep is None else int(np.flatnonzero(self.keep)[row])
        known = f"at row {found}" in str(error) or "that is row" in str(error)
        return "" if known else f"; that is row {found} of the file"

    def _load_labels(self, name: str, leave_out: Sequence[str]) -> None:
        """Read the labels of the episodes, and find the rows of those that are not left out."""
        is_file = isinstance(self.table, CsvTable | ParquetTable)
        if not is_file and not leave_out:
            self.labels = self.table[name]  # an array of any kind, such as a masked one
            return
        labels = label_column(self.table, name)
        self.labels = labels.values()
        if not leave_out:
            return
        if isinstance(self.table, CsvTable):
            require_labels(leave_out, [*self.table.left_out_labels, *labels.texts], self.place)
            return
        require_labels(leave_out, labels.texts, self.place)
        self.keep = ~np.isin(labels.codes, [labels.texts.index(label) for label in leave_out])
        self.labels = self.labels[self.keep]

    def _holds_episodes(self) -> bool:
        """Whether each row holds a whole episode: its rewards are a list, and not the one number of a step."""
        rewards, actions = self.names["rewards"][0], self.names["actions"][0]
        if not isinstance(self.table, ParquetTable) or dims(self.table, rewards) != 2:
            return False
        values = self.table[rewards]
        return isinstance(values, list) or values.shape[1] != 1 or dims(self.table, actions) == 3
