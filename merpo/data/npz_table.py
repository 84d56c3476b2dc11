"""The arrays of a NumPy archive, each read when it is asked for; never unpickled."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from merpo.errors import DatasetError
from merpo.lazy import np
from merpo.support.read import open_regular

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["NpzTable"]

KINDS = "biufUS"


@final
class NpzTable(Mapping[str, Any]):
    """The arrays of an archive by name. Opening checks all declared sizes; only the `wanted` must hold numbers or text.

    Raises `DatasetError` that names the file and the array.
    """

    def __init__(self, path: Path, limit: int, wanted: Collection[str] | None = None) -> None:
        self.path = path
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._members: dict[str, str] = {}
        with self._open() as archive:
            members = archive.infolist()
            self.names = [member.filename for member in members]  # also where two have the same
            if sum(member.file_size for member in members) > limit:
                raise DatasetError(f"{path}: its arrays take more than {limit} bytes")
            for member in members:
                name = member.filename.removesuffix(".npy")
                self._members[name] = member.filename
                if wanted is None or name in wanted:
                    self._shapes[name] = _checked_shape(path, archive, member)

    def __getitem__(self, name: str) -> NDArray[Any]:
        member = self._members[name]
        with self._open() as archive:
            if name not in self._shapes:
                self._shapes[name] = _checked_shape(self.path, archive, archive.getinfo(member))
            with archive.open(member) as file:
                found: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._members  # without reading it, as a mapping would

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of an array; only its header is read."""
        if name not in self._shapes:
            with self._open() as archive:
                self._shapes[name] = _checked_shape(self.path, archive, archive.getinfo(self._members[name]))
        return self._shapes[name]

    def holds_others(self, name: str) -> bool:
        """Whether an array holds neither numbers nor text, and is therefore not read; only its header is."""
        with self._open() as archive:
            dtype = _header(self.path, archive, archive.getinfo(self._members[name]))[1]
        return dtype.hasobject or dtype.kind not in KINDS

    @contextmanager
    def _open(self) -> Iterator[zipfile.ZipFile]:
        try:
            with open_regular(self.path) as file, zipfile.ZipFile(file) as archive:
                yield archive
        except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError, EOFError) as error:
            raise DatasetError(f"{self.path}: is not a NumPy archive ({error!s:.120})") from None
        except (
            ValueError,
            TypeError,
            KeyError,
            SyntaxError,
            OverflowError,
            zlib.error,
            lzma.LZMAError,
            struct.error,
        ) as error:
            raise DatasetError(f"{self.path}: is damaged ({error!s:.120})") from None


def _checked_shape(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> tuple[int, ...]:
    """An array's shape; raises `DatasetError` if its header declares more than the file holds, or Python objects."""
    place = f"{path}: {member.filename[:80]}"
    shape, dtype = _header(path, archive, member)
    if dtype.hasobject or dtype.kind not in KINDS:
        raise DatasetError(f"{place}: holds {dtype}, expected numbers; Python objects are not read")
    count = 1
    for length in shape:
        count *= length
    if count < 0 or count * dtype.itemsize > member.file_size:
        raise DatasetError(f"{place}: declares shape {shape} of {dtype}, but has {member.file_size} bytes")
    return shape


def _header(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """An array's shape and type."""
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            place = f"{path}: {member.filename[:80]}"
            raise DatasetError(f"{place}: version {version} of NumPy's format, expected 1 or 2")
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    return tuple(shape), dtype
