"""Log files with named columns: csv, npz, parquet; without pickle, and each column read when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from merpo.data.csv_cells import BadCellError, NumberColumn
from merpo.data.csv_format import CsvFormat
from merpo.data.csv_table import CsvTable
from merpo.data.hdf5_table import Hdf5Table
from merpo.data.npz_table import NpzTable
from merpo.data.parquet_table import ParquetTable
from merpo.errors import DatasetError, nearest
from merpo.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FORMATS", "MAX_BYTES", "CsvTable", "Reader", "Table", "dims", "numbers", "read_table", "row_location"]

MAX_BYTES = 8 << 30  # of one file's arrays in memory
MAX_MEMBERS = 10_000  # arrays or columns of one file

Table = Mapping[str, Any]  # name -> array [N] or [N, .], an array for each row, or a column's values as strings
Reader = Callable[[Path, CsvFormat, Collection[str]], Table]


def row_location(table: Table, row: int) -> str:
    """The position of row `row` (from 0) in the file, for messages: the line of a csv file, else the row."""
    return f"line {table.line(row)}" if isinstance(table, CsvTable) else f"row {row}"


def read_table(
    path: Path, csv: CsvFormat | None = None, wanted: Collection[str] = (), formats: Mapping[str, Reader] | None = None
) -> Table:
    """The arrays or columns of a file, by name; raises `DatasetError` that names the file and the defect.

    `wanted` are names that will be asked for: by them the format of a csv file is found where it is not given, and what
    other arrays of an archive hold does not matter. Without names, all matter.
    """
    known = FORMATS if formats is None else formats
    reader = known.get(path.suffix.lower())
    if reader is None:
        raise DatasetError(f"{path}: expected a file that ends in {', '.join(known)}{nearest(path.suffix, known)}")
    try:
        if not path.is_file():
            raise DatasetError(f"{path}: no such file")
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise DatasetError(f"{path}: has {size} bytes, expected at most {MAX_BYTES}")
        return reader(path, csv or CsvFormat(), wanted)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror or error}") from None
    except MemoryError:
        raise DatasetError(f"{path}: does not fit into memory") from None


def dims(table: Table, name: str) -> int:
    """The number of dims of a column or an array: 1 for a value per row."""
    if isinstance(table, CsvTable):
        return 1
    if isinstance(table, ParquetTable):
        return table.dims(name)
    return len(table.shape(name)) if isinstance(table, NpzTable | Hdf5Table) else int(np.ndim(table[name]))


def numbers(table: Table, name: str, place: str, gaps: bool = False, advice: str = "") -> Any:
    """A column as numbers [N] or [N, .], or an array for each row; messages of `DatasetError` begin with `place`.

    A cell without a value is NaN if `gaps`, else an error that ends with `advice`.
    """
    if isinstance(table, CsvTable):
        found = table.numbers(name)
        if name in table.gaps and not gaps:
            text, line = table.gaps[name]
            raise DatasetError(f"{place} is {text[:40]!r} in line {line}, expected a number{_also(advice)}")
        return found
    values = table[name]
    if isinstance(values, list) and values and isinstance(values[0], str):
        return _parsed(values, place, gaps, advice)
    if isinstance(values, np.ndarray) and values.dtype.kind not in "biufO":
        raise DatasetError(f"{place} holds {values.dtype}, expected numbers")
    return values


def _parsed(texts: Sequence[str], place: str, gaps: bool, advice: str) -> NDArray[Any]:
    """Numbers that are stored as text."""
    column = NumberColumn(0, ".")
    try:
        column.parse(texts, range(len(texts)))
    except BadCellError as error:
        raise DatasetError(f"{place} is {error.cell.text[:40]!r} in row {error.cell.line}, expected a number") from None
    if column.gap and not gaps:
        text, row = column.gap
        raise DatasetError(f"{place} is {text[:40]!r} in row {row}, expected a number{_also(advice)}")
    return column.done()


def _also(advice: str) -> str:
    return f"; {advice}" if advice else ""


def _read_csv(path: Path, csv: CsvFormat, wanted: Collection[str]) -> Table:
    table = CsvTable(path, csv, wanted)
    _check_names(path, table.names)
    return table


def _read_npz(path: Path, csv: CsvFormat, wanted: Collection[str]) -> Table:
    table = NpzTable(path, MAX_BYTES, wanted or None)
    _check_names(path, table.names)
    return table


def _read_parquet(path: Path, csv: CsvFormat, wanted: Collection[str]) -> Table:
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


FORMATS: dict[str, Reader] = {".csv": _read_csv, ".npz": _read_npz, ".parquet": _read_parquet, ".tsv": _read_csv}
