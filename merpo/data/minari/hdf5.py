"""Reader of Minari's HDF5 backend: no links to other files, no filter plugins, bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from merpo.data.minari.files import MinariDataset, Space, require_inside
from merpo.data.table_files import MAX_BYTES
from merpo.errors import DatasetError, MerpoError
from merpo.lazy import np
from merpo.support.read import open_regular

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["read_hdf5"]

FLAGS = ("rewards", "terminations", "truncations")
MAX_EPISODES = 10_000_000
MAX_CHUNK = 256 << 20  # bytes
MAX_COMPRESSION = 1100  # decompressed bytes per stored byte; deflate reaches at most 1032
FILTERS = (1, 2, 3, 5, 6, 32000)  # built-in: deflate, shuffle, fletcher32, n-bit, scale-offset, lzf
_DAMAGE = (OSError, KeyError, ValueError, TypeError, RuntimeError, OverflowError, AttributeError, IndexError)


def read_hdf5(dataset: MinariDataset) -> Iterator[dict[str, NDArray[Any]]]:
    """Yield the arrays of every episode in order: observations [L + 1, O], actions [L, A], the others [L].

    Raises `DatasetError` naming file and object for links, external or virtual storage, filters that load code,
    and arrays that declare more than they store.
    """
    try:
        import h5py
    except ImportError:
        raise MerpoError("reading HDF5 needs h5py, which is not installed; pip install 'merpo[minari]'") from None
    path = require_inside(dataset.folder / "main_data.hdf5")
    if not path.is_file():
        raise DatasetError(f"{path}: no such file")
    try:
        with open_regular(path), h5py.File(path, "r") as file:
            yield from _Reader(h5py, path).episodes(file, dataset)
    except MemoryError:
        raise DatasetError(f"{path}: does not fit into memory") from None
    except _DAMAGE as error:
        raise DatasetError(f"{path}: cannot be read as HDF5 ({error!s:.160})") from None


class _Reader:
    """Reads one file and counts the bytes read."""

    def __init__(self, h5py: Any, path: Path) -> None:
        self.h5py, self.path, self.bytes = h5py, path, 0

    def episodes(self, file: Any, dataset: MinariDataset) -> Iterator[dict[str, NDArray[Any]]]:
        count = len(file)
        if not 0 < count <= MAX_EPISODES:
            raise DatasetError(f"{self.path}: has {count} episodes, expected 1 to {MAX_EPISODES}")
        for i in range(count):
            place = f"episode_{i}"
            episode = self.child(file, place, place)
            yield {
                "observations": self.matrix(episode, f"{place}/observations", dataset.observations),
                "actions": self.matrix(episode, f"{place}/actions", dataset.actions),
                **{key: self.array(self.child(episode, key, f"{place}/{key}"), f"{place}/{key}") for key in FLAGS},
            }

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

    def matrix(self, episode: Any, place: str, space: Space) -> NDArray[Any]:
        """The boxes of a space, concatenated along dim 1 [rows, .]."""
        parts = []
        for box in space:
            node, where = episode, place.rpartition("/")[0]
            for name in (place.rpartition("/")[2], *box.path):
                where = f"{where}/{name}"
                node = self.child(node, name, where)
            array = self.array(node, where)
            if array.ndim == 0 or array.size != len(array) * box.size:
                raise DatasetError(f"{self.path}: {where} has shape {array.shape}, expected {box.size} numbers per row")
            parts.append(array.reshape(len(array), box.size))
        if len({len(part) for part in parts}) > 1:
            raise DatasetError(f"{self.path}: {place} has parts of unequal lengths")
        return np.concatenate(parts, axis=1)

    def array(self, node: Any, place: str) -> NDArray[Any]:
        """The array of an HDF5 dataset that is stored entirely in this file."""
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
        array: NDArray[Any] = node[()]
        return array

    def _check_filters(self, node: Any, place: str) -> None:
        plan = node.id.get_create_plist()
        for i in range(plan.get_nfilters()):
            if (code := plan.get_filter(i)[0]) not in FILTERS:
                raise DatasetError(f"{self.path}: {place} needs the HDF5 filter {code}, which is a plugin; refused")

    def _check_size(self, node: Any, place: str) -> None:
        declared, stored = node.size * node.dtype.itemsize, node.id.get_storage_size()
        chunk = int(np.prod(node.chunks, dtype=np.float64)) * node.dtype.itemsize if node.chunks else 0
        self.bytes += declared
        if self.bytes > MAX_BYTES or chunk > MAX_CHUNK:
            raise DatasetError(f"{self.path}: {place} needs {self.bytes} bytes in memory, expected at most {MAX_BYTES}")
        if declared > MAX_COMPRESSION * min(stored, self.path.stat().st_size):
            raise DatasetError(
                f"{self.path}: {place} declares {declared} bytes {node.shape} and stores {stored}; refused"
            )
