"""The columns of a file of logs for an import: their names, their numbers, and what unused ones may tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unicodedata import normalize

from merpo.data.csv_dialect import is_number
from merpo.data.hdf5_table import Hdf5Table
from merpo.data.joined import Joined
from merpo.data.labels import Labels, labels_of
from merpo.data.looked import Looked
from merpo.data.npz_table import NpzTable
from merpo.data.parquet_table import ParquetTable
from merpo.data.reading.gaps import ADVICE
from merpo.data.reading.unused import can_tell, look_at
from merpo.data.table_files import CsvTable, Table, dims, numbers
from merpo.errors import DatasetError, nearest
from merpo.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["column_name", "is_per_row", "label_column", "look", "matrix_of", "number_column", "width_of"]

TEXT = "has text in every row, which is not read from HDF5"
UNKNOWN = Looked(None, is_set=True, restarts=False)  # of values that are no numbers


def column_name(table: Table, name: str, place: str) -> str:
    """The name of a column as the file writes it; raises `DatasetError` that begins with `place` if there is none."""
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


def number_column(table: Table, name: str, place: str, gaps: bool = False, keep: NDArray[Any] | None = None) -> Any:
    """A column as numbers, of the rows `keep`; with `gaps`, a cell without a value is NaN instead of an error."""
    found = numbers(table, name, f"{place}: {name[:80]}", gaps, ADVICE)
    return found if keep is None else found[keep]


def matrix_of(
    table: Table,
    names: tuple[str, ...],
    place: str,
    gaps: bool = False,
    keep: NDArray[Any] | None = None,
    rounded: bool = False,
) -> Any:
    """Columns [N] and matrices [N, .] joined along dim 1; a single array stays as it is, also a block of episodes.

    Of a file they are read when they are converted to an array, in float32 if `rounded`.
    """
    if len(names) == 1 and not isinstance(table, CsvTable | NpzTable | ParquetTable | Hdf5Table):
        return number_column(table, names[0], place, gaps, keep)  # an array of any kind, such as a masked one
    joined = Joined(table, names, place, keep, gaps, ADVICE, rounded)
    if joined.ndim <= 2:
        return joined
    return np.asarray(Joined(table, names, place, keep, gaps, ADVICE))


def label_column(table: Table, name: str) -> Labels:
    """A column [N] as labels."""
    return table.labels(name) if isinstance(table, CsvTable | ParquetTable) else labels_of(np.asarray(table[name]))


def is_per_row(table: Table, name: str, other: str) -> bool:
    """Whether a column has as many rows as another one."""
    if isinstance(table, CsvTable | ParquetTable):
        return True
    if isinstance(table, NpzTable | Hdf5Table):
        return table.shape(name)[:1] == table.shape(other)[:1]
    return np.shape(table[name])[:1] == np.shape(table[other])[:1]


def width_of(table: Table, name: str, rewards: int) -> int:
    """The numbers in a row of a column or matrix, where rewards [N] or [E, L] have so many dims."""
    if dims(table, name) == 1:
        return 1
    if isinstance(table, ParquetTable):
        return table.width(name)
    shape = table.shape(name) if isinstance(table, NpzTable | Hdf5Table) else np.shape(table[name])
    return int(np.prod(shape[max(1, rewards if rewards < len(shape) else 1) :], dtype=np.float64))


def look(table: Table, name: str, rows: tuple[int, ...]) -> Looked:
    """What an unused column may tell of episodes, where the rewards have the shape `rows`."""
    if isinstance(table, CsvTable):
        return table.looked(name)
    if isinstance(table, ParquetTable) and not table.is_plain(name):
        return UNKNOWN
    if isinstance(table, NpzTable) and table.holds_others(name):
        return UNKNOWN
    if isinstance(table, Hdf5Table) and (shape := table.holds_others(name)) is not None:
        return UNKNOWN._replace(runs=TEXT if shape == rows else "")
    if isinstance(table, NpzTable | Hdf5Table) and not can_tell(name, int(np.prod(table.shape(name))), rows):
        return UNKNOWN  # without reading it
    return look_at(table[name], rows)


def _header_hint(table: Table) -> str:
    """A hint where the first row of a csv file was perhaps not taken for what it is."""
    if not isinstance(table, CsvTable) or table.given.header is not None:
        return ""
    line = f". Line {1 + table.dialect.skip_lines}"
    if not table.dialect.header:
        return f"{line} has values only, so the columns have numbers; if it has names, set header = true under [csv]"
    if any(is_number(cell) for cell in table.first):
        return f"{line} has numbers among the names; if it has no names, set header = false under [csv]"
    return ""
