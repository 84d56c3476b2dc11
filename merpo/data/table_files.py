"""Log files with named columns: csv, npz, parquet; without pickle, and each column read when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from merpo.data.csv_cells import BadCellError, NumberColumn
from merpo.data.csv_format import CsvFormat
from merpo.data.csv_table import CsvTable
from merpo.data.labels import Labels, labels_of
from merpo.data.npz_table import NpzTable
from merpo.data.parquet_table import ParquetTable
from merpo.errors import DatasetError, nearest
from merpo.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FORMATS", "MAX_BYTES", "CsvTable", "Table", "dims", "labels", "numbers", "read_table", "row_location"]

MAX_BYTES = 8 << 30  # of one file's arrays in memory
MAX_MEMBERS = 10_000  # arrays or columns of one file

Table = Mapping[str, Any]  # name -> array [N] or [N, .], an array for each row, or a column's values as strings


def row_location(table: Table, row: int) -> str:
    """The position of row `row` (from 0) in the file, for messages: the line of a csv file, else the row."""
    return f"line {table.line(row)}" if isinstance(table, CsvTable) else f"row {row}"


def read_table(
    path: Path, csv: CsvFormat | None = None, numbers: Collection[str] = (), labels: Collection[str] = ()
) -> Table:
    """The arrays or columns of a file, by name; raises `DatasetError` that names the file and the defect.

    `numbers` and `labels` are the names that will be asked for: by them the format of a csv file is found where it is
    not given, and what other arrays of an archive hold does not matter. Without names, all matter.
    """
    reader = FORMATS.get(path.suffix.lower())
    if reader is None:
        raise DatasetError(f"{path}: expected a file that ends in {', '.join(FORMATS)}{nearest(path.suffix, FORMATS)}")
    try:
        if not path.is_file():
            raise DatasetError(f"{path}: no such file")
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise DatasetError(f"{path}: has {size} bytes, expected at most {MAX_BYTES}")
        return reader(path, csv or CsvFormat(), numbers, labels)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror or error}") from None
    except MemoryError:
        raise DatasetError(f"{path}: does not fit into memory") from None


def dims(table: Table, name: str) -> int:
    """The number of dims of a column or an array: 1 for a value per row."""
    if isinstance(table, CsvTable):
        return 1
    return table.dims(name) if isinstance(table, NpzTable | ParquetTable) else int(np.ndim(table[name]))


def numbers(table: Table, name: str, place: str) -> NDArray[Any] | list[NDArray[Any]]:
    """A column as numbers [N] or [N, .], or an array for each row; messages of `DatasetError` begin with `place`."""
    if isinstance(table, CsvTable):
        found = table.numbers(name)
        if name in table.gaps:
            text, line = table.gaps[name]
            raise DatasetError(f"{place} is {text[:40]!r} in line {line}, expected a number")
        return found
    values = table[name]
    if isinstance(values, list):
        return _parsed(values, place) if values and isinstance(values[0], str) else values
    array: NDArray[Any] = values
    if array.dtype.kind not in "biuf":
        raise DatasetError(f"{place} holds {array.dtype}, expected numbers")
    return array


def labels(table: Table, name: str) -> Labels:
    """A column [N] as labels."""
    if isinstance(table, CsvTable | ParquetTable):
        return table.labels(name)
    return labels_of(np.asarray(table[name]))


def _parsed(texts: Sequence[str], place: str) -> NDArray[Any]:
    """Numbers that are stored as text."""
    column = NumberColumn(0, ".")
    try:
        column.parse(texts, range(len(texts)))
        if column.gap:
            raise BadCellError(column.gap)
    except BadCellError as error:
        raise DatasetError(f"{place} is {error.cell.text[:40]!r} in row {error.cell.line}, expected a number") from None
    return column.done()


def _read_csv(path: Path, csv: CsvFormat, numbers: Collection[str], labels: Collection[str]) -> Table:
    table = CsvTable(path, csv, numbers, labels)
    _check_names(path, table.names)
    return table


def _read_npz(path: Path, csv: CsvFormat, numbers: Collection[str], labels: Collection[str]) -> Table:
    table = NpzTable(path, MAX_BYTES, {*numbers, *labels} or None)
    _check_names(path, table.names)
    return table


def _read_parquet(path: Path, csv: CsvFormat, numbers: Collection[str], labels: Collection[str]) -> Table:
    table = ParquetTable(path, MAX_BYTES)
    _check_names(path, table.top_names)
    return table


def _check_names(path: Path, names: Sequence[str]) -> None:
    """Raise `DatasetError` for no columns, too many, or duplicate names."""
    if not names:
        raise DatasetError(f"{path}: is empty, expected names and values of columns")
    if len(names) > MAX_MEMBERS:
        raise DatasetError(f"{path}: has {len(names)} columns, expected at most {MAX_MEMBERS}")
    duplicate = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if duplicate is not None:
        raise DatasetError(f"{path}: has two columns named {duplicate[:80]!r}, expected distinct names")


Reader = Callable[[Path, CsvFormat, Collection[str], Collection[str]], Table]
FORMATS: dict[str, Reader] = {".csv": _read_csv, ".npz": _read_npz, ".parquet": _read_parquet, ".tsv": _read_csv}
