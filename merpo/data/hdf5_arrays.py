"""Arrays of an HDF5 file: no links to other files, no filter plugins, bounded memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from merpo.errors import DatasetError
from merpo.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["DAMAGE", "Hdf5Arrays"]

MAX_CHUNK = 256 << 20  # bytes
MAX_COMPRESSION = 1100  # decompressed bytes per stored byte; deflate reaches at most 1032
FILTERS = (1, 2, 3, 5, 6, 32000)  # built-in: deflate, shuffle, fletcher32, n-bit, scale-offset, lzf
DAMAGE = (OSError, KeyError, ValueError, TypeError, RuntimeError, OverflowError, AttributeError, IndexError)


@final
class Hdf5Arrays:
    """Reads the arrays of one file and counts the bytes read, of which there may be `limit`."""

    def __init__(self, h5py: Any, path: Path, limit: int) -> None:
        self.h5py, self.path, self.limit, self.bytes = h5py, path, limit, 0

    def child(self, group: Any, name: str, place: str) -> Any:
        """The member of a group under a name; raises `DatasetError` for anything but a hard link."""
        if not isinstance(group, self.h5py.Group):
            raise DatasetError(f"{self.path}: {place.rpartition('/')[0]} is not a group")
        link = group.get(name, getlink=True)
        if link is None:
            raise DatasetError(f"{self.path}: {place} is missing")
        if not isinstance(link, self.h5py.HardLink):
            target = f"{getattr(link, 'filename', '')} {getattr(link, 'path', '')}".strip()
            raise DatasetError(f"{self.path}: {place} is a {type(link).__name__} to {target[:100]!r}; refused")
        return group[name]

    def array(self, node: Any, place: str) -> NDArray[Any]:
        """The array of an HDF5 dataset that is stored entirely in this file."""
        self.check(node, place)
        array: NDArray[Any] = node[()]
        return array

    def check(self, node: Any, place: str) -> None:
        """Raise `DatasetError` for anything but numbers of an honest size that are stored in this file."""
        if not isinstance(node, self.h5py.Dataset):
            raise DatasetError(f"{self.path}: {place} is a {type(node).__name__}, expected an array")
        if node.external is not None:
            raise DatasetError(f"{self.path}: {place} is stored in another file, {node.external[0][0]!r}; refused")
        if node.is_virtual:
            raise DatasetError(f"{self.path}: {place} is a virtual dataset, a view of other files; refused")
        if node.dtype.kind not in "biuf" or node.dtype.subdtype is not None or node.shape is None:
            raise DatasetError(f"{self.path}: {place} holds {node.dtype}, expected numbers")
        self._check_filters(node, place)
        self._check_size(node, place)

    def _check_filters(self, node: Any, place: str) -> None:
        plan = node.id.get_create_plist()
        for i in range(plan.get_nfilters()):
            if (code := plan.get_filter(i)[0]) not in FILTERS:
                raise DatasetError(f"{self.path}: {place} needs the HDF5 filter {code}, which is a plugin; refused")

    def _check_size(self, node: Any, place: str) -> None:
        declared, stored = node.size * node.dtype.itemsize, node.id.get_storage_size()
        chunk = int(np.prod(node.chunks, dtype=np.float64)) * node.dtype.itemsize if node.chunks else 0
        self.bytes += declared
        if self.bytes > self.limit or chunk > MAX_CHUNK:
            raise DatasetError(
                f"{self.path}: {place} needs {self.bytes} bytes in memory, expected at most {self.limit}"
            )
        if declared > MAX_COMPRESSION * min(stored, self.path.stat().st_size):
            raise DatasetError(
                f"{self.path}: {place} declares {declared} bytes {node.shape} and stores {stored}; refused"
            )
