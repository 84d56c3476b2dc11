"""The columns of a Parquet file, each read when it is asked for, in batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from merpo.data.arrow_values import list_depth, plain_kind, values_of
from merpo.data.labels import Labels, label_text
from merpo.errors import DatasetError, MerpoError
from merpo.lazy import np
from merpo.support.read import open_regular

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ParquetTable"]

BATCH, LEAST = 16_384, 64  # rows that are read at a time, at most and at least
BLOCK = 4 << 20  # bytes of a column that are read at a time, about
BUFFER = 1 << 18  # bytes that are read at a time; by default a whole column of a group of rows
MAX_DEPTH = 8  # of structs in structs
BYTES = 8  # of a number


@final
class ParquetTable(Mapping[str, Any]):
    """A Parquet file by the names of its columns; a field of a struct is `column.field`.

    `table[name]` is an array [N], a matrix [N, .] for lists, an array for each row where lists differ in length, or a
    list of strings. Missing values are NaN or "". Raises `DatasetError` that names the file and the column.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self.path, self.limit = path, limit
        self._parquet, self._pa = _pyarrow()
        self._fields: dict[str, tuple[tuple[str, ...], Any]] = {}  # path in the file, and type
        self._depths: dict[str, int] = {}  # lists around the numbers of a column
        self._structs: dict[str, list[str]] = {}  # and the names of their fields
        self._metadata: Any = None  # of the file, once it is known
        with self._reading(), self._open() as file:
            self._metadata = file.metadata
            rows = file.metadata.num_rows
            if rows * BYTES > limit:
                raise DatasetError(f"{path}: declares {rows} rows, expected at most {limit} bytes in a column")
            for field in file.schema_arrow:
                self._add((), field)
            self.top_names: list[str] = list(file.schema_arrow.names)  # of whole columns, also where two have the same

    def __getitem__(self, name: str) -> Any:
        made: NDArray[Any] | None = None  # of the whole column, while its rows are numbers of one shape
        others: list[Any] = []
        row = 0
        for array in self._arrays(name):
            part = self._values(name, array, row)
            if not row and isinstance(part, np.ndarray):
                made = np.empty((self._metadata.num_rows, *part.shape[1:]), part.dtype)
            if row + len(part) > self._metadata.num_rows:
                raise DatasetError(
                    f"{self.path}: {name[:80]} has more than the declared {self._metadata.num_rows} rows"
                )
            if made is not None and isinstance(part, np.ndarray) and part.shape[1:] == made.shape[1:]:
                made = made.astype(np.result_type(made, part), copy=False)
                made[row : row + len(part)] = part
            else:
                others.extend(part if made is None else [*made[:row], *part])
                made = None
            row += len(array)
        self._pa.default_memory_pool().release_unused()
        if made is not None:
            return made[:row]
        return others or np.empty(0)

    def __contains__(self, name: object) -> bool:
        return name in self._fields or name in self._structs

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def dims(self, name: str) -> int:
        """The number of dims of a column: 1 for a value per row, 2 for a list per row."""
        self._field(name)
        return 1 + self._depths[name]

    def width(self, name: str, within: bool = False) -> int:
        """The numbers in a row, or in each item `within` the list of a row; 1 where lists differ in length."""
        shapes: set[tuple[int, ...]] = set()
        for array in self._arrays(name):
            values = self._values(name, array, 0)
            if within and len(values):
                return int(np.prod(np.shape(values[0])[1:], dtype=np.float64))
            if isinstance(values, list):
                return 1
            shapes.add(values.shape[1:])
        return int(np.prod(shapes.pop(), dtype=np.float64)) if len(shapes) == 1 else 1

    def is_plain(self, name: str) -> bool:
        """Whether a column has a number, a truth value, a time or text per row."""
        if name not in self._fields:
            return False
        kind, types = self._fields[name][1], self._pa.types
        others = types.is_binary, types.is_large_binary, types.is_fixed_size_binary, types.is_interval
        return not (types.is_nested(kind) or any(other(kind) for other in others))

    def labels(self, name: str) -> Labels:
        """A column of text, numbers, dates or times as labels."""
        known: dict[str, int] = {}
        codes = [np.empty(0, np.int64)]
        for array in self._arrays(name):
            kind = plain_kind(self._pa, array.type)
            if self._pa.types.is_nested(kind):
                raise DatasetError(f"{self.path}: {name[:80]} holds {kind!s:.80}, expected a label per row")
            with self._reading():
                plain = array.storage if isinstance(array.type, self._pa.BaseExtensionType) else array
                coded = plain if self._pa.types.is_dictionary(plain.type) else plain.dictionary_encode()
                texts = [label_text(value) for value in coded.dictionary.to_pylist()]
                own = coded.indices.cast(self._pa.int64()).fill_null(-1).to_numpy()
            places = np.array([known.setdefault(text, len(known)) if text else -1 for text in texts] or [-1])
            codes.append(np.where(own < 0, -1, places[own]))
        return Labels(np.concatenate(codes), list(known))

    def _add(self, parents: tuple[str, ...], field: Any) -> None:
        """Add a column, or the fields of a struct."""
        path = (*parents, field.name)
        name, kind = ".".join(path), plain_kind(self._pa, field.type)
        if self._pa.types.is_struct(kind) and len(path) < MAX_DEPTH:
            inner = [kind.field(i) for i in range(kind.num_fields)]
            self._structs[name] = [f"{name}.{one.name}" for one in inner]
            for one in inner:
                self._add(path, one)
        elif name not in self._fields or not parents:  # a column that is itself named a.b goes before field b of a
            self._fields[name] = (path, kind)
            self._depths[name] = list_depth(self._pa, field.type)

    def _field(self, name: str) -> tuple[tuple[str, ...], Any]:
        if name not in self._fields and name in self._structs:
            fields = ", ".join(self._structs[name][:20])
            raise DatasetError(f"{self.path}: {name[:80]} is a struct, expected a column of numbers: name {fields}")
        return self._fields[name]

    def _arrays(self, name: str) -> Iterator[Any]:
        """The column's Arrow arrays, a batch of rows each; raises `DatasetError` where they pass the limit."""
        path, _ = self._field(name)
        total = 0
        with self._reading(), self._open() as file:
            declared = self._declared(name)
            rows = min(BATCH, max(LEAST, BLOCK * self._metadata.num_rows // max(1, declared)))
            for batch in file.iter_batches(rows, columns=[name], use_threads=False):
                batch.validate(full=True)
                total += batch.nbytes
                if total > self.limit:
                    raise DatasetError(f"{self.path}: {name[:80]} takes more than {self.limit} bytes")
                array = batch.column(batch.schema.get_field_index(path[0]))
                if isinstance(array.type, self._pa.BaseExtensionType) and len(path) > 1:
                    array = array.storage
                yield self._pa.compute.struct_field(array, list(path[1:])) if len(path) > 1 else array

    def _declared(self, name: str) -> int:
        """The bytes of a column's values as the file declares them; raises `DatasetError` for more than the limit."""
        metadata, declared = self._metadata, 0
        for i in range(metadata.num_row_groups):
            group = metadata.row_group(i)
            for j in range(group.num_columns):
                if f"{group.column(j).path_in_schema}.".startswith(f"{name}."):
                    declared += group.column(j).num_values * BYTES
        if declared > self.limit:
            raise DatasetError(f"{self.path}: {name[:80]} declares {declared} bytes, expected at most {self.limit}")
        return declared

    def _values(self, name: str, array: Any, row: int) -> NDArray[Any] | list[Any]:
        """The values of a batch that begins at a row."""
        with self._reading():
            kind, types = plain_kind(self._pa, array.type), self._pa.types
            if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
                return ["" if value is None else str(value) for value in array.to_pylist()]
            return values_of(self._pa, array, f"{self.path}: {name[:80]}", row)

    @contextmanager
    def _open(self) -> Iterator[Any]:
        with (
            open_regular(self.path) as opened,
            self._parquet.ParquetFile(opened, metadata=self._metadata, pre_buffer=False, buffer_size=BUFFER) as file,
        ):
            yield file

    @contextmanager
    def _reading(self) -> Iterator[None]:
        pa = self._pa
        try:
            yield
        except (pa.ArrowException, ValueError, TypeError, KeyError, NotImplementedError, OverflowError) as error:
            raise DatasetError(f"{self.path}: cannot be read as Parquet ({error!s:.160})") from None


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow as pa
        import pyarrow.compute
        from pyarrow import parquet
    except ImportError:
        raise MerpoError("reading Parquet needs pyarrow, which is not installed; pip install 'merpo[minari]'") from None
    return parquet, pa
