"""Names of the arrays of a Minari dataset that an import does not use."""

from __future__ import annotations

from contextlib import suppress

from merpo.data.hdf5_arrays import DAMAGE, Hdf5Arrays
from merpo.data.minari.files import MinariDataset, require_inside
from merpo.support.read import open_regular

__all__ = ["unused_arrays"]

USED = ("observations", "actions", "rewards", "terminations", "truncations", "seed", "options", "id", "total_steps")


def unused_arrays(dataset: MinariDataset) -> tuple[str, ...]:
    """What the first episode has besides the arrays of every episode, such as `infos`.

    The reader reports damage, and libraries that are missing.
    """
    names: list[str] = []
    with suppress(ImportError):
        names = _of_hdf5(dataset) if dataset.format == "hdf5" else _of_arrow(dataset)
    return tuple(name[:80] for name in names if name not in USED)[:50]


def _of_hdf5(dataset: MinariDataset) -> list[str]:
    import h5py

    path = require_inside(dataset.folder / "main_data.hdf5")
    with suppress(*DAMAGE), open_regular(path), h5py.File(path, "r") as file:
        first = Hdf5Arrays(h5py, path, 0).child(file, "episode_0", "episode_0")
        return sorted(first)
    return []


def _of_arrow(dataset: MinariDataset) -> list[str]:
    import pyarrow as pa
    from pyarrow import parquet

    files = sorted((dataset.folder / "0").glob(f"*.{dataset.format}"))
    with suppress(pa.ArrowException, OSError, ValueError, TypeError, KeyError, IndexError):
        path = require_inside(files[0])
        if dataset.format == "parquet":
            with open_regular(path) as source:
                return list(map(str, parquet.read_schema(source).names))
        with open_regular(path) as source, pa.ipc.open_file(source) as file:
            return list(map(str, file.schema.names))
    return []
