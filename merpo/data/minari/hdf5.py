"""Reader of Minari's HDF5 backend: no links to other files, no filter plugins, bounded memory."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from merpo.data.hdf5_arrays import DAMAGE, Hdf5Arrays
from merpo.data.minari.files import MinariDataset, Space, require_inside
from merpo.data.reading.layout import require_episodes
from merpo.data.table_files import MAX_BYTES
from merpo.errors import DatasetError, MerpoError
from merpo.lazy import np
from merpo.support.read import open_regular

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["read_hdf5"]

FLAGS = ("rewards", "terminations", "truncations")
MAX_EPISODES = 10_000_000


def read_hdf5(dataset: MinariDataset, leave_out: Collection[int] = ()) -> Iterator[dict[str, NDArray[Any]]]:
    """Yield the arrays of every episode in order: observations [L + 1, O], actions [L, A], the others [L].

    Those with the numbers `leave_out` are not read. Raises `DatasetError` naming file and object for links, external or
    virtual storage, filters that load code, and arrays that declare more than they store.
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
            yield from _Reader(h5py, path).episodes(file, dataset, leave_out)
    except MemoryError:
        raise DatasetError(f"{path}: does not fit into memory") from None
    except DAMAGE as error:
        raise DatasetError(f"{path}: cannot be read as HDF5 ({error!s:.160})") from None


class _Reader:
    """Reads the episodes of one file."""

    def __init__(self, h5py: Any, path: Path) -> None:
        self.path, self.file = path, Hdf5Arrays(h5py, path, MAX_BYTES)

    def episodes(
        self, file: Any, dataset: MinariDataset, leave_out: Collection[int]
    ) -> Iterator[dict[str, NDArray[Any]]]:
        count = len(file)
        if not 0 < count <= MAX_EPISODES:
            raise DatasetError(f"{self.path}: has {count} episodes, expected 1 to {MAX_EPISODES}")
        require_episodes(leave_out, count, str(self.path))
        for i in (i for i in range(count) if i not in leave_out):
            place = f"episode_{i}"
            episode = self.file.child(file, place, place)
            yield {
                "observations": self.matrix(episode, f"{place}/observations", dataset.observations),
                "actions": self.matrix(episode, f"{place}/actions", dataset.actions),
                **{
                    key: self.file.array(self.file.child(episode, key, f"{place}/{key}"), f"{place}/{key}")
                    for key in FLAGS
                },
            }

    def matrix(self, episode: Any, place: str, space: Space) -> NDArray[Any]:
        """The boxes of a space, concatenated along dim 1 [rows, .]."""
        parts = []
        for box in space:
            node, where = episode, place.rpartition("/")[0]
            for name in (place.rpartition("/")[2], *box.path):
                where = f"{where}/{name}"
                node = self.file.child(node, name, where)
            array = self.file.array(node, where)
            if array.ndim == 0 or array.size != len(array) * box.size:
                raise DatasetError(f"{self.path}: {where} has shape {array.shape}, expected {box.size} numbers per row")
            parts.append(array.reshape(len(array), box.size))
        if len({len(part) for part in parts}) > 1:
            raise DatasetError(f"{self.path}: {place} has parts of unequal lengths")
        return np.concatenate(parts, axis=1)
