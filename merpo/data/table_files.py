"""Readers of log files with named columns: npz, csv, parquet; without pickle, and with bounded memory."""

from __future__ import annotations

import csv
import io
import zipfile
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from merpo.errors import DatasetError, MerpoError, nearest
from merpo.lazy import np
from merpo.support.read import open_regular

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FORMATS", "MAX_BYTES", "Table", "numbers", "read_table", "row_location"]

MAX_BYTES = 8 << 30  # of one file's arrays in memory
MAX_MEMBERS = 10_000  # arrays or columns of one file

Table = Mapping[str, Any]  # name -> array [N] or [N, .], or a column's values as strings


@final
class CsvTable(Mapping[str, list[str]]):
    """The columns of a csv file as strings, and the line number (from 1) at which each row ends."""

    def __init__(self, columns: Mapping[str, list[str]], lines: Sequence[int]) -> None:
        self._columns, self.lines = columns, lines

    def __getitem__(self, name: str) -> list[str]:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


def row_location(table: Table, row: int) -> str:
    """The position of row `row` (from 0) in the file, for messages: the line of a csv file, else the row."""
    return f"line {table.lines[row]}" if isinstance(table, CsvTable) else f"row {row}"


def read_table(path: Path) -> Table:
    """The arrays or columns of a file, by name; raises `DatasetError` that names the file and the defect."""
    reader = FORMATS.get(path.suffix.lower())
    if reader is None:
        raise DatasetError(f"{path}: expected a file that ends in {', '.join(FORMATS)}{nearest(path.suffix, FORMATS)}")
    try:
        if not path.is_file():
            raise DatasetError(f"{path}: no such file")
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise DatasetError(f"{path}: has {size} bytes, expected at most {MAX_BYTES}")
        return reader(path)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror or error}") from None
    except MemoryError:
        raise DatasetError(f"{path}: does not fit into memory") from None


def numbers(table: Table, name: str, place: str) -> NDArray[Any]:
    """A column as numbers, parsed if they are strings of a csv file; messages of `DatasetError` begin with `place`."""
    values = table[name]
    if isinstance(values, list):
        try:
            return np.asarray(values, dtype=np.float64)
        except ValueError:
            row = next(i for i, text in enumerate(values) if not _is_number(text))
            raise DatasetError(
                f"{place} is {values[row][:40]!r} in {row_location(table, row)}, expected a number"
            ) from None
    found: NDArray[Any] = values
    if found.dtype.kind not in "biuf":
        raise DatasetError(f"{place} holds {found.dtype}, expected numbers")
    return found


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_csv(path: Path) -> Table:
    """The columns of a comma-separated UTF-8 file, as strings, by the names in its first row."""
    try:
        with open_regular(path) as opened, io.TextIOWrapper(opened, "utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            _check_names(path, header)
            columns: list[list[str]] = [[] for _ in header]
            lines = array("q")
            for row in reader:
                if not row:
                    continue  # an empty line
                if len(row) != len(header):
                    found, wanted = len(row), len(header)
                    raise DatasetError(f"{path}: line {reader.line_num} has {found} values, expected {wanted}")
                lines.append(reader.line_num)
                for column, value in zip(columns, row, strict=True):
                    column.append(value)
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: not UTF-8 (byte {error.start})") from None
    except csv.Error as error:
        raise DatasetError(f"{path}: line {reader.line_num}: {error}") from None
    return CsvTable(dict(zip(header, columns, strict=True)), lines)


def _read_npz(path: Path) -> Table:
    """The arrays of a NumPy archive; declared sizes are checked before memory is reserved."""
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            _check_names(path, [member.filename for member in members])
            if sum(member.file_size for member in members) > MAX_BYTES:
                raise DatasetError(f"{path}: its arrays take more than {MAX_BYTES} bytes")
            return {member.filename.removesuffix(".npy"): _read_npy(path, archive, member) for member in members}
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise DatasetError(f"{path}: is not a NumPy archive ({error!s:.120})") from None
    except (ValueError, TypeError, KeyError, SyntaxError, OverflowError) as error:
        raise DatasetError(f"{path}: is damaged ({error!s:.120})") from None
    except _decompression_errors() as error:
        raise DatasetError(f"{path}: is damaged ({error!s:.120})") from None


def _decompression_errors() -> tuple[type[Exception], ...]:
    import lzma
    import struct
    import zlib

    return zlib.error, lzma.LZMAError, struct.error


def _read_npy(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    """One array of an archive; raises `DatasetError` if its header declares more bytes than the file holds."""
    place = f"{path}: {member.filename[:80]}"
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise DatasetError(f"{place}: version {version} of NumPy's format, expected 1 or 2")
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
        if dtype.hasobject or dtype.kind not in "biufUS":
            raise DatasetError(f"{place}: holds {dtype}, expected numbers; Python objects are not read")
        count = 1
        for length in shape:
            count *= length
        if count < 0 or count * dtype.itemsize > member.file_size:
            raise DatasetError(f"{place}: declares shape {shape} of {dtype}, but has {member.file_size} bytes")
    with archive.open(member) as file:
        found: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    return found


def _read_parquet(path: Path) -> Table:
    """The flat columns of a Parquet file."""
    parquet = _pyarrow_parquet()
    import pyarrow as pa

    try:
        with open_regular(path) as opened, parquet.ParquetFile(opened) as file:
            _check_names(path, file.schema_arrow.names)
            declared = file.metadata.num_rows * 8 * max(1, file.metadata.num_columns)
            if declared > MAX_BYTES:
                raise DatasetError(f"{path}: declares {declared} bytes of columns, expected at most {MAX_BYTES}")
            flat = [f.name for f in file.schema_arrow if not (pa.types.is_nested(f.type) or _unsupported(pa, f.type))]
            table = file.read(columns=flat, use_threads=False)
            table.validate(full=True)
            return {name: _parquet_column(pa, table.column(name)) for name in flat}
    except (pa.ArrowException, ValueError, TypeError, KeyError, NotImplementedError, OverflowError) as error:
        raise DatasetError(f"{path}: cannot be read as Parquet ({error!s:.160})") from None


def _unsupported(pa: Any, kind: Any) -> bool:
    """Whether an Arrow type is neither numeric nor text; such columns are not read."""
    types = pa.types
    plain = (types.is_boolean, types.is_integer, types.is_floating, types.is_string, types.is_large_string)
    return not any(is_kind(kind) for is_kind in plain)


def _parquet_column(pa: Any, column: Any) -> Any:
    """A column as numbers or strings; missing values become NaN or "", which later checks report by row."""
    found = (column.cast(pa.int8()) if pa.types.is_boolean(column.type) else column).to_numpy()
    return ["" if value is None else str(value) for value in found] if found.dtype == object else found


def _pyarrow_parquet() -> Any:
    try:
        from pyarrow import parquet
    except ImportError:
        raise MerpoError("reading Parquet needs pyarrow, which is not installed; pip install 'merpo[minari]'") from None
    return parquet


def _check_names(path: Path, names: Sequence[str]) -> None:
    """Raise `DatasetError` for no columns, too many, or duplicate names."""
    if not names:
        raise DatasetError(f"{path}: is empty, expected names and values of columns")
    if len(names) > MAX_MEMBERS:
        raise DatasetError(f"{path}: has {len(names)} columns, expected at most {MAX_MEMBERS}")
    duplicate = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if duplicate is not None:
        raise DatasetError(f"{path}: has two columns named {duplicate[:80]!r}, expected distinct names")


FORMATS: dict[str, Callable[[Path], Table]] = {".csv": _read_csv, ".npz": _read_npz, ".parquet": _read_parquet}
