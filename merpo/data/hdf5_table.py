"""The arrays of an HDF5 file, as D4RL and d3rlpy write it, each read when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from merpo.data.hdf5_arrays import DAMAGE, Hdf5Arrays
from merpo.errors import DatasetError, MerpoError
from merpo.lazy import np
from merpo.support.read import open_regular

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Hdf5Table"]

MAX_DEPTH = 8  # of groups in groups
MAX_MEMBERS = 100_000  # of a group: d3rlpy stores several arrays for each episode


@final
class Hdf5Table(Mapping[str, Any]):
    """The arrays of a file by name, those in groups as `GROUP/NAME`; text is named, and not read.

    Opening checks every member. Raises `DatasetError` that names the file and the array.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self.path, self.limit = path, limit
        self._h5py = _h5py()
        self._shapes: dict[str, tuple[int, ...] | None] = {}  # None for text and compound values
        self._others: dict[str, tuple[int, ...]] = {}  # their shapes
        with self._open() as (reader, file):
            self._add(reader, file, "", 0)
        if not self._shapes:
            raise DatasetError(f"{path}: is empty, expected named arrays")

    def __getitem__(self, name: str) -> NDArray[Any]:
        if self._shapes[name] is None:
            return np.asarray("")
        with self._open() as (reader, file):
            node, parts = file, name.split("/")
            for i, part in enumerate(parts, 1):
                node = reader.child(node, part, "/".join(parts[:i]))
            return reader.array(node, name)

    def __contains__(self, name: object) -> bool:
        return name in self._shapes  # without reading it, as a mapping would

    def __iter__(self) -> Iterator[str]:
        return iter(self._shapes)

    def __len__(self) -> int:
        return len(self._shapes)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of an array, which is not read."""
        return self._shapes[name] or ()

    def holds_others(self, name: str) -> tuple[int, ...] | None:
        """The shape of an array of text or compound values, which is not read; None for one of numbers."""
        return self._others.get(name)

    def _add(self, reader: Hdf5Arrays, group: Any, place: str, depth: int) -> None:
        """Add the arrays below a group with their paths."""
        if depth > MAX_DEPTH or len(group) > MAX_MEMBERS:
            raise DatasetError(f"{self.path}: {place or 'the file'} has too many members or levels of groups")
        for name in group:
            where = f"{place}{name}"
            node = reader.child(group, name, where)
            if isinstance(node, self._h5py.Group):
                self._add(reader, node, f"{where}/", depth + 1)
            elif node.dtype.kind in "biuf":
                reader.check(node, where)
                self._shapes[where] = tuple(node.shape)
            else:
                self._shapes[where] = None
                self._others[where] = tuple(node.shape or ())

    @contextmanager
    def _open(self) -> Iterator[tuple[Hdf5Arrays, Any]]:
        try:
            with open_regular(self.path), self._h5py.File(self.path, "r") as file:
                yield Hdf5Arrays(self._h5py, self.path, self.limit), file
        except MemoryError:
            raise DatasetError(f"{self.path}: does not fit into memory") from None
        except DAMAGE as error:
            raise DatasetError(f"{self.path}: cannot be read as HDF5 ({error!s:.160})") from None


def _h5py() -> Any:
    try:
        import h5py
    except ImportError:
        raise MerpoError("reading HDF5 needs h5py, which is not installed; pip install 'merpo[minari]'") from None
    return h5py
