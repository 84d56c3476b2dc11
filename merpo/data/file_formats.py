"""Files of logs by their format: those of `table_files`, and HDF5 as D4RL and d3rlpy write it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from merpo.data.csv_format import CsvFormat
from merpo.data.hdf5_table import Hdf5Table
from merpo.data.reading.names import with_whole_arrays
from merpo.data.table_files import FORMATS as TABLES
from merpo.data.table_files import MAX_BYTES, Reader, Table, read_table

__all__ = ["FORMATS", "read_file"]


def read_file(path: Path, csv: CsvFormat | None = None, wanted: Collection[str] = ()) -> Table:
    """The arrays or columns of a file as `read_table` gives them, arrays per episode joined."""
    return with_whole_arrays(read_table(path, csv, wanted, FORMATS))


def _read_hdf5(path: Path, csv: CsvFormat, wanted: Collection[str]) -> Table:
    return Hdf5Table(path, MAX_BYTES)


FORMATS: dict[str, Reader] = {**TABLES, ".hdf5": _read_hdf5, ".h5": _read_hdf5}
