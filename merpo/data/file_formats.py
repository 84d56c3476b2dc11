"""Files of logs by their format: those of `table_files`, and HDF5 as D4RL and d3rlpy write it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from merpo.data.hdf5_arrays import DAMAGE, Hdf5Arrays
from merpo.data.reading.names import with_whole_arrays
from merpo.data.table_files import FORMATS as TABLES
from merpo.data.table_files import MAX_BYTES, Table, read_table
from merpo.errors import DatasetError, MerpoError, nearest
from merpo.lazy import np

__all__ = ["FORMATS", "read_file"]

MAX_DEPTH = 8  # of groups in groups
MAX_MEMBERS = 100_000  # of a group: d3rlpy stores several arrays for each episode


def read_file(path: Path) -> Table:
    """The arrays or columns of a file, by name; raises `DatasetError` that names the file and the defect."""
    reader = FORMATS.get(path.suffix.lower())
    if reader is None:
        raise DatasetError(f"{path}: expected a file that ends in {', '.join(FORMATS)}{nearest(path.suffix, FORMATS)}")
    return with_whole_arrays(reader(path))


def _read_hdf5(path: Path) -> Table:
    """The arrays of an HDF5 file, those in groups as `GROUP/NAME`; text is named, and not read."""
    try:
        import h5py
    except ImportError:
        raise MerpoError("reading HDF5 needs h5py, which is not installed; pip install 'merpo[minari]'") from None
    try:
        if not path.is_file():
            raise DatasetError(f"{path}: no such file")
        if path.stat().st_size > MAX_BYTES:
            raise DatasetError(f"{path}: has {path.stat().st_size} bytes, expected at most {MAX_BYTES}")
        with h5py.File(path, "r") as file:
            reader = Hdf5Arrays(h5py, path, MAX_BYTES)
            found = dict(_members(reader, file, "", 0))
    except MemoryError:
        raise DatasetError(f"{path}: does not fit into memory") from None
    except DAMAGE as error:
        raise DatasetError(f"{path}: cannot be read as HDF5 ({error!s:.160})") from None
    if not found:
        raise DatasetError(f"{path}: is empty, expected named arrays")
    return found


def _members(reader: Hdf5Arrays, group: Any, place: str, depth: int) -> Iterator[tuple[str, Any]]:
    """Yield the arrays below a group with their paths."""
    if depth > MAX_DEPTH or len(group) > MAX_MEMBERS:
        raise DatasetError(f"{reader.path}: {place or 'the file'} has too many members or levels of groups")
    for name in group:
        where = f"{place}{name}"
        node = reader.child(group, name, where)
        if isinstance(node, reader.h5py.Group):
            yield from _members(reader, node, f"{where}/", depth + 1)
        elif node.dtype.kind in "biuf":
            yield where, reader.array(node, where)
        else:
            yield where, np.asarray("")  # text or compound values


FORMATS: dict[str, Callable[[Path], Table]] = {
    **dict.fromkeys(TABLES, read_table),
    **dict.fromkeys((".hdf5", ".h5"), _read_hdf5),
}
