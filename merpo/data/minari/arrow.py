"""Reader of Minari's Arrow and Parquet backends: a folder per episode, with one file in it."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from merpo.data.minari.files import MinariDataset, Space, require_inside
from merpo.data.reading.layout import require_episodes
from merpo.data.table_files import MAX_BYTES
from merpo.errors import DatasetError, MerpoError
from merpo.lazy import np
from merpo.support.paths import inside
from merpo.support.read import open_regular, read_regular

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["read_arrow"]

COLUMNS = ("observations", "actions", "rewards", "terminations", "truncations")


def read_arrow(dataset: MinariDataset, leave_out: Collection[int] = ()) -> Iterator[dict[str, NDArray[Any]]]:
    """Yield the arrays of every episode in order: observations [L + 1, O], actions [L, A], the others [L].

    Those with the numbers `leave_out` are not read. Raises `DatasetError` naming file and column for links, compressed
    Arrow, and files that declare more than they store.
    """
    try:
        import pyarrow as pa
    except ImportError:
        raise MerpoError("reading Arrow needs pyarrow, which is not installed; pip install 'merpo[minari]'") from None
    total = 0
    folders = _folders(dataset)
    require_episodes(leave_out, len(folders), str(dataset.folder))
    for folder in (folder for i, folder in enumerate(folders) if i not in leave_out):
        path = _file(folder, dataset.format)
        try:
            table = _read(pa, path, dataset.format)
            total += table.nbytes
            if total > MAX_BYTES:
                raise DatasetError(f"{path}: needs {total} bytes of memory in total, expected at most {MAX_BYTES}")
            episode = {
                "observations": _matrix(pa, path, table, "observations", dataset.observations),
                "actions": _matrix(pa, path, table, "actions", dataset.actions)[:-1],
            }
            yield episode | {key: _numbers(pa, path, table.column(key), key)[:-1] for key in COLUMNS[2:]}
        except (
            pa.ArrowException,
            OSError,
            KeyError,
            ValueError,
            TypeError,
            OverflowError,
            NotImplementedError,
        ) as error:
            raise DatasetError(f"{path}: cannot be read as {dataset.format} ({error!s:.160})") from None
        except MemoryError:
            raise DatasetError(f"{path}: does not fit into memory") from None


def _folders(dataset: MinariDataset) -> list[Path]:
    """The episodes' folders `0`, `1`, ... in order; raises `DatasetError` if one is missing."""
    try:
        names = [one.name for one in dataset.folder.iterdir() if one.is_dir()]
    except OSError as error:
        raise DatasetError(f"{dataset.folder}: cannot be read: {error.strerror or error}") from None
    if not names or set(names) != {str(i) for i in range(len(names))}:
        raise DatasetError(f"{dataset.folder}: holds {sorted(names)[:5]}, expected folders 0, 1, ... of episodes")
    return [require_inside(inside(dataset.folder, str(i), error=DatasetError)) for i in range(len(names))]


def _file(folder: Path, form: str) -> Path:
    """The file of an episode."""
    found = sorted(folder.glob(f"*.{form}"))
    if len(found) != 1:
        raise DatasetError(f"{folder}: holds {len(found)} files that end in .{form}, expected one")
    path = require_inside(found[0])
    if not path.is_file():
        raise DatasetError(f"{path}: is not a file")
    if path.stat().st_size > MAX_BYTES:
        raise DatasetError(f"{path}: has {path.stat().st_size} bytes, expected at most {MAX_BYTES}")
    return path


def _read(pa: Any, path: Path, form: str) -> Any:
    """The transition columns of an episode's file."""
    if form == "parquet":
        from pyarrow import parquet

        with open_regular(path) as opened, parquet.ParquetFile(opened) as file:
            group = [file.metadata.row_group(i).total_byte_size for i in range(file.metadata.num_row_groups)]
            if sum(group) > MAX_BYTES or file.metadata.num_rows > MAX_BYTES:
                raise DatasetError(f"{path}: declares {sum(group)} bytes, expected at most {MAX_BYTES}")
            table = file.read(columns=list(COLUMNS), use_threads=False)
    else:
        data = read_regular(path, MAX_BYTES)
        _refuse_compression(pa, path, data)
        with pa.ipc.open_file(pa.BufferReader(data)) as file:
            table = file.read_all().select(list(COLUMNS))
    table.validate(full=True)
    return table.combine_chunks()


def _matrix(pa: Any, path: Path, table: Any, key: str, space: Space) -> NDArray[Any]:
    """The boxes of a space, concatenated along dim 1 [rows, .]."""
    parts = []
    for box in space:
        column = table.column(key)
        for name in box.path:
            column = pa.compute.struct_field(column, name.removeprefix("_index_"))
        kind = column.type
        if not pa.types.is_fixed_size_list(kind) or kind.list_size != box.size or column.null_count:
            raise DatasetError(f"{path}: {'.'.join((key, *box.path))} is {kind}, expected lists of {box.size} numbers")
        chunks = [_numbers(pa, path, chunk.flatten(), key) for chunk in column.chunks]
        parts.append(np.concatenate(chunks).reshape(-1, box.size))
    return np.concatenate(parts, axis=1)


def _numbers(pa: Any, path: Path, column: Any, key: str) -> NDArray[Any]:
    kind, types = column.type, pa.types
    if not (types.is_floating(kind) or types.is_integer(kind) or types.is_boolean(kind)) or column.null_count:
        raise DatasetError(f"{path}: {key} is {kind} with {column.null_count} missing, expected numbers")
    zero_copy = {"zero_copy_only": False} if isinstance(column, pa.Array) else {}
    array: NDArray[Any] = column.to_numpy(**zero_copy)
    return array


def _refuse_compression(pa: Any, path: Path, data: bytes) -> None:
    """Raise `DatasetError` for compressed buffers, which could expand to gigabytes."""
    reader = pa.ipc.MessageReader.open_stream(
        pa.BufferReader(data[8:])
    )  # an Arrow file is a stream after 8 bytes of magic
    for message in reader:
        if message.type == "record batch" and _compressed(message.metadata.to_pybytes()):
            raise DatasetError(f"{path}: is compressed Arrow, expected uncompressed as Minari writes it; refused")


def _compressed(metadata: bytes) -> bool:
    """Whether the flatbuffer Message{version, header_type, header: RecordBatch{..., compression}} is compressed."""

    def number(form: str, place: int) -> int:
        value: int = struct.unpack_from(f"<{form}", metadata, place)[0]
        return value

    def field(table: int, slot: int) -> int:
        """The offset of a table's field, 0 if it is absent."""
        vtable = table - number("i", table)
        entry = 4 + 2 * slot
        offset = number("H", vtable + entry) if entry < number("H", vtable) else 0
        return table + offset if offset else 0

    try:
        header = field(number("I", 0), 2)
        batch = header + number("I", header)
        return field(batch, 3) != 0
    except struct.error as error:
        raise ValueError(f"damaged message: {error}") from None
