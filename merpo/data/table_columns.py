"""The columns of a file of logs as numbers: of one column, or of several side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from merpo.data.reading.gaps import ADVICE
from merpo.data.reading.unused import truths
from merpo.data.table_files import CsvTable, Table, numbers
from merpo.errors import DatasetError, nearest
from merpo.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["column_of", "flag_column", "matrix_of", "number_column", "width_of"]

BLANKS = {"", "na", "n/a", "nan", "null", "none", "-"}  # texts of csv files that stand for missing values


def column_of(table: Table, name: str, place: str) -> Any:
    """A column by its name; raises `DatasetError` that begins with `place` and names the nearest one."""
    if name not in table:
        known = ", ".join(list(table)[:20])
        raise DatasetError(
            f"{place}: no column {name[:80]!r}{nearest(name[:80], table)}; columns here: {known}; "
            "map them with --columns FILE.toml"
        )
    return table[name]


def number_column(table: Table, name: str, place: str, gaps: bool = False) -> NDArray[Any]:
    """A column as numbers; with `gaps`, texts that stand for a missing value become NaN."""
    values = column_of(table, name, place)
    if gaps and isinstance(values, list):
        filled = {name: ["nan" if text.strip().lower() in BLANKS else text for text in values]}
        table = CsvTable(filled, table.lines) if isinstance(table, CsvTable) else filled
    try:
        return numbers(table, name, f"{place}: {name[:80]}")
    except DatasetError as error:
        blank = (
            isinstance(values, list) and next((t for t in values if not _is_number(t)), "x").strip().lower() in BLANKS
        )
        raise DatasetError(f"{error}; {ADVICE}" if blank else str(error)) from None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def flag_column(table: Table, name: str, place: str) -> NDArray[Any]:
    """A column of zeros and ones as numbers, also where it is text such as `True` and `False`."""
    values = column_of(table, name, place)
    if isinstance(values, list):
        truth = truths(values)
        if truth is not None:
            return truth
        if {text.strip().lower() for text in set(values)} <= {"false"}:
            return np.zeros(len(values), dtype=np.bool_)
        if {text.strip().lower() for text in set(values)} <= {"true"}:
            return np.ones(len(values), dtype=np.bool_)
    return number_column(table, name, place)


def matrix_of(table: Table, names: tuple[str, ...], place: str, gaps: bool = False) -> NDArray[Any]:
    """Columns [N] and matrices [N, .] joined along dim 1; a single array stays as it is, also a block of episodes."""
    arrays = [number_column(table, name, place, gaps) for name in names]
    if len(arrays) == 1:
        return arrays[0]
    for name, array in zip(names, arrays, strict=True):
        if array.ndim not in (1, 2) or len(array) != len(arrays[0]):
            raise DatasetError(
                f"{place}: {name[:80]} has shape {array.shape}, expected ({len(arrays[0])},) or ({len(arrays[0])}, .)"
            )
    return np.concatenate([array if array.ndim == 2 else array[:, None] for array in arrays], axis=1)


def width_of(column: Any, rewards: NDArray[Any]) -> int:
    """The numbers in a row of a column or matrix, whose rows are those of the rewards [N] or [E, L]."""
    shape = np.shape(column)[max(1, rewards.ndim if rewards.ndim < np.ndim(column) else 1) :]
    return int(np.prod(shape, dtype=np.float64)) if not isinstance(column, list) else 1
