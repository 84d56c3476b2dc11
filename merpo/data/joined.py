"""Columns of a file as one array, which is read when it is converted to NumPy's and not kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, final

from merpo.data.parquet_table import ParquetTable
from merpo.data.reading.float32 import float32_pair, to_float32
from merpo.data.table_files import Table, dims, numbers
from merpo.errors import DatasetError
from merpo.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Joined", "by_row"]


@final
class Joined:
    """Columns [N] and matrices [N, .] of a table side by side, [N, columns]; a single one stays as it is.

    `numpy.asarray` reads them, one column after the other, and nothing is kept: the array is in memory as long as its
    user holds it. `keep` are the rows that are read, all by default; cells without a value are NaN if `gaps`, else an
    error with `advice`. Numbers are in float32 if `rounded`. `DatasetError` begins with `place`.
    """

    def __init__(
        self,
        table: Table,
        names: Sequence[str],
        place: str,
        keep: NDArray[Any] | None = None,
        gaps: bool = False,
        advice: str = "",
        rounded: bool = False,
    ) -> None:
        self.table, self.names, self.place, self.keep = table, tuple(names), place, keep
        self.gaps, self.advice, self.rounded = gaps, advice, rounded
        self.ndim = 2 if len(names) > 1 else dims(table, names[0])

    def __len__(self) -> int:
        return len(self._column(self.names[0]))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if len(self.names) == 1:
            made = self._single()
        else:
            made = self._joined_columns() if self._are_columns else self._joined_matrices()
        return made if dtype is None else made.astype(dtype)

    def _single(self) -> NDArray[Any]:
        found = self._column(self.names[0])
        if not self.rounded or found.dtype.kind not in "biuf":
            return found
        return to_float32(found) if found.ndim == 1 else float32_pair(found, None, own=True)[0]

    @property
    def _are_columns(self) -> bool:
        return all(dims(self.table, name) == 1 for name in self.names)

    def _joined_columns(self) -> NDArray[Any]:
        """Columns [N] joined, with one more than the result in memory at a time."""
        column = self._column(self.names[0])
        rows, kind = column.shape, np.float32 if self.rounded else np.float64
        made = np.empty((*rows, len(self.names)), kind, order="F")
        for i, name in enumerate(self.names):
            if i:
                del column
                column = self._column(name)
            if column.shape != rows:
                self._refuse(name, column, len(made))
            with np.errstate(over="ignore"):
                made[:, i] = column
        return made

    def _joined_matrices(self) -> NDArray[Any]:
        """Columns [N] and matrices [N, .] joined; each is given up when it is in the result, which lies by columns."""
        arrays = [self._column(name) for name in self.names]
        rows = len(arrays[0])
        for name, array in zip(self.names, arrays, strict=True):
            if array.ndim not in (1, 2) or len(array) != rows:
                self._refuse(name, array, rows)
        widths = [array[:1].size if rows else 1 for array in arrays]
        kind = np.float32 if self.rounded else np.result_type(*arrays)
        made, end = np.empty((rows, sum(widths)), kind, order="F"), 0
        for width in widths:
            array = arrays.pop(0)
            with np.errstate(over="ignore"):
                made[:, end : end + width] = array.reshape(rows, width)
            end += width
        return made

    def _refuse(self, name: str, array: NDArray[Any], rows: int) -> None:
        expected = f"({rows},) or ({rows}, .)"
        raise DatasetError(f"{self.place}: {name[:80]} has shape {array.shape}, expected {expected}")

    def _column(self, name: str) -> NDArray[Any]:
        """A column's numbers, a matrix of more dims as rows of numbers."""
        found = numbers(self.table, name, f"{self.place}: {name[:80]}", self.gaps, self.advice)
        if isinstance(found, list):
            if isinstance(self.table, ParquetTable):
                raise DatasetError(f"{self.place}: {name[:80]} {_unequal(found)}")
            found = np.asarray(found)
        kept: NDArray[Any] = found if self.keep is None else found[self.keep]
        return kept


def by_row(table: Table, names: Sequence[str], place: str, matrix: bool) -> list[NDArray[Any]]:
    """Columns whose every row holds a whole episode, side by side: an array [L, .] each if `matrix`, else [L]."""
    columns = [numbers(table, name, f"{place}: {name[:80]}") for name in names]
    rows = [_episode(parts, names, f"{place}: row {row}") for row, parts in enumerate(zip(*columns, strict=True))]
    return [row[:, None] if matrix and row.ndim == 1 else row for row in rows]


def _episode(parts: Sequence[NDArray[Any]], names: Sequence[str], where: str) -> NDArray[Any]:
    for name, part in zip(names, parts, strict=True):
        if part.ndim not in (1, 2) or len(part) != len(parts[0]):
            raise DatasetError(
                f"{where}: {name[:80]} has shape {part.shape}, expected ({len(parts[0])},) or ({len(parts[0])}, .)"
            )
    if len(parts) == 1:
        return parts[0]
    return np.concatenate([part if part.ndim == 2 else part[:, None] for part in parts], axis=1)


def _unequal(rows: Sequence[NDArray[Any]]) -> str:
    """What is wrong with lists of unequal lengths, after the name of the column."""
    row, (first, second) = next((i, pair) for i, pair in enumerate(_shapes(rows), 1) if pair[0] != pair[1])
    return f"holds lists of shape {second} in row {row}, expected {first} as in row {row - 1}"


def _shapes(rows: Sequence[NDArray[Any]]) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    for before, after in pairwise(rows):
        yield np.shape(before), np.shape(after)
