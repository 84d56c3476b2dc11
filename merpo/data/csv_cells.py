"""Columns that grow by the cells of a csv file: numbers, and labels."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, final

from merpo.data.csv_dialect import BOOLEANS, COMMA
from merpo.data.csv_format import Decimal
from merpo.data.labels import Labels
from merpo.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BadCellError", "Cell", "DecimalCommaError", "LabelColumn", "NumberColumn"]

GAPS = ("", "na", "n/a", "#n/a", "null", "none")  # cells without a value; `nan` is a number


class Cell(NamedTuple):
    """A cell's text, and the line in which its row ends."""

    text: str
    line: int


class BadCellError(Exception):
    """A cell that is no number."""

    def __init__(self, cell: Cell) -> None:
        super().__init__(cell)
        self.cell = cell


class DecimalCommaError(Exception):
    """A number with a decimal comma in a file whose decimal mark is not known yet."""


@final
class NumberColumn:
    """A column of numbers; `TRUE` and `FALSE` are 1 and 0, and a cell without a value is NaN."""

    def __init__(self, place: int, decimal: Decimal | None) -> None:
        self.place, self.decimal = place, decimal
        self.values = array("d")
        self.gap: Cell | None = None  # the first without a value
        self.word: Cell | None = None  # the first TRUE or FALSE

    @property
    def plain(self) -> bool:
        """Whether all cells so far were numbers."""
        return self.gap is None and self.word is None

    def extend(self, numbers: NDArray[Any]) -> None:
        """Append float64 numbers."""
        self.values.frombytes(np.ascontiguousarray(numbers).data.cast("B"))

    def parse(self, cells: Sequence[str], lines: Sequence[int]) -> None:
        """Append the numbers in cells, which end in these lines."""
        try:
            numbers = np.fromiter(map(float, self._points(cells)), np.float64, len(cells))
        except ValueError:
            parsed = [self._value(cell.strip(), line) for cell, line in zip(cells, lines, strict=True)]
            numbers = np.asarray(parsed, dtype=np.float64)
        self.extend(numbers)

    def done(self) -> NDArray[Any]:
        """The column as an array, without a copy."""
        return np.frombuffer(self.values, np.float64) if self.values else np.empty(0)

    def _points(self, cells: Sequence[str]) -> Sequence[str]:
        """The cells with decimal points; raises `ValueError` for a cell that has another mark than the file's."""
        if any("_" in cell for cell in cells):  # which Python takes for a part of a number
            raise ValueError
        if self.decimal != ",":
            return cells
        if any("." in cell for cell in cells):
            raise ValueError
        return [cell.replace(",", ".") for cell in cells]

    def _value(self, text: str, line: int) -> float:
        try:
            return float(self._points([text])[0])
        except ValueError:
            word = text.casefold()
            if word in GAPS:
                self.gap = self.gap or Cell(text, line)
                return float("nan")
            if word in BOOLEANS:
                self.word = self.word or Cell(text, line)
                return BOOLEANS[word]
            if self.decimal is None and COMMA.fullmatch(text):
                raise DecimalCommaError from None
            raise BadCellError(Cell(text, line)) from None


@final
class LabelColumn:
    """A column of labels."""

    def __init__(self, place: int) -> None:
        self.place = place
        self.codes = array("q")
        self.known: dict[str, int] = {}

    def parse(self, cells: Sequence[str]) -> None:
        """Append the labels in cells."""
        known = self.known
        self.codes.extend(known.setdefault(text, len(known)) if (text := cell.strip()) else -1 for cell in cells)

    def done(self) -> Labels:
        """The column's labels."""
        codes = np.frombuffer(self.codes, np.int64) if self.codes else np.empty(0, np.int64)
        return Labels(codes, list(self.known))
