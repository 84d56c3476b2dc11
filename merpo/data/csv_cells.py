"""Columns that grow by the cells of a csv file: numbers, and labels."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple, final

from merpo.data.csv_dialect import BOOLEANS, COMMA
from merpo.data.csv_format import Decimal
from merpo.data.labels import Labels
from merpo.data.looked import Looked
from merpo.data.runs import Runs
from merpo.lazy import np
from merpo.support.mapped_memory import mapped_memory

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ZEROS", "BadCellError", "Cell", "DecimalCommaError", "LabelColumn", "NumberColumn", "WatchedColumn"]

GAPS = ("", "na", "n/a", "#n/a", "null", "none", "-")  # cells without a value; `nan` is a number
ZEROS = {"", "0", "0.0", "false", "no"}


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

    def __init__(self, place: int, decimal: Decimal | None, rows: int = 0, rounded: bool = False) -> None:
        """`rows`: for how many there is to be room at once. `rounded`: numbers are kept in float32."""
        self.place, self.decimal = place, decimal
        self.values, self.count = mapped_memory(rows, np.float32 if rounded else np.float64), 0
        self.gap: Cell | None = None  # the first without a value
        self.word: Cell | None = None  # the first TRUE or FALSE

    @property
    def plain(self) -> bool:
        """Whether all cells so far were numbers."""
        return self.gap is None and self.word is None

    def extend(self, numbers: NDArray[Any]) -> None:
        """Append float64 numbers."""
        start, self.count = self.count, self.count + len(numbers)
        if self.count > len(self.values):
            before = self.values
            self.values = mapped_memory(max(self.count, len(before) + len(before) // 2), before.dtype)
            self.values[:start] = before[:start]
        with np.errstate(over="ignore"):
            self.values[start : self.count] = numbers

    def parse(self, cells: Sequence[str], lines: Sequence[int]) -> None:
        """Append the numbers in cells, which end in these lines."""
        try:
            numbers = np.fromiter(map(float, with_points(cells, self.decimal)), np.float64, len(cells))
        except ValueError:
            parsed = [self._value(cell.strip(), line) for cell, line in zip(cells, lines, strict=True)]
            numbers = np.asarray(parsed, dtype=np.float64)
        self.extend(numbers)

    def done(self) -> NDArray[Any]:
        """The column as an array, without a copy."""
        return self.values[: self.count]

    def _value(self, text: str, line: int) -> float:
        try:
            return float(with_points([text], self.decimal)[0])
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


def with_points(cells: Sequence[str], decimal: Decimal | None) -> Sequence[str]:
    """Cells with decimal points; raises `ValueError` for a cell that has another mark than the file's."""
    if any("_" in cell for cell in cells):  # which Python takes for a part of a number
        raise ValueError
    if decimal != ",":
        return cells
    if any("." in cell for cell in cells):
        raise ValueError
    return [cell.replace(",", ".") for cell in cells]


@final
class WatchedColumn:
    """A column that is not kept; only what its values may tell of episodes is."""

    def __init__(self, place: int, decimal: Decimal | None) -> None:
        self.place, self.decimal = place, decimal
        self.truth: array[int] | None = array("b")  # while all are zeros and ones
        self.is_set = False  # whether a value is not zero and not empty
        self.restarts = True  # while it counts up or begins again
        self.rows = self.begins = 0  # rows, and those with the first value
        self.first = self.last = float("nan")
        self.runs = Runs()

    @property
    def decided(self) -> bool:
        """Whether more cells tell nothing more."""
        return self.truth is None and self.is_set and not self.restarts and self.runs.decided

    def parse(self, cells: Sequence[str]) -> None:
        """Look at the next cells."""
        if self.decided or not cells:
            return
        self.is_set = self.is_set or any(cell.strip().casefold() not in ZEROS for cell in cells)
        if not self.runs.decided:
            self.runs.add([cell.strip() for cell, _ in groupby(cells)], len(cells))
        if self.truth is None and not self.restarts:
            return
        numbers, words = self._numbers(cells)
        if numbers is None:
            self.truth, self.restarts = None, False
            return
        if self.truth is not None and bool(((numbers == 0) | (numbers == 1)).all()):
            self.truth.frombytes(numbers.astype(np.int8).tobytes())
        else:
            self.truth = None
        self._count(numbers, words)

    def done(self) -> Looked:
        """What it tells."""
        truth = None if self.truth is None else np.frombuffer(self.truth, np.int8).astype(np.bool_)
        if truth is not None and (len(truth) < 2 or truth.all() or not truth.any()):
            truth = None
        restarts = self.restarts and self.rows >= 4 and 1 < self.begins <= self.rows / 2
        return Looked(truth, self.is_set, restarts, self.runs.tells())

    def _numbers(self, cells: Sequence[str]) -> tuple[NDArray[Any] | None, bool]:
        """The cells as numbers, None if one is none, and whether some are words."""
        try:
            return np.fromiter(map(float, with_points(cells, self.decimal)), np.float64, len(cells)), False
        except ValueError:
            column = NumberColumn(self.place, self.decimal)
        try:
            column.parse(cells, range(len(cells)))
        except (BadCellError, DecimalCommaError):
            return None, True
        return (None if column.gap else column.done()), True

    def _count(self, numbers: NDArray[Any], words: bool) -> None:
        """Follow a counter."""
        if not self.rows:
            self.first = float(numbers[0])
        begins = numbers == self.first
        before = np.concatenate([[self.last if self.rows else np.inf], numbers[:-1]])
        self.restarts = self.restarts and not words and bool(((numbers > before) | begins).all())
        self.rows, self.begins, self.last = (
            self.rows + len(numbers),
            self.begins + int(begins.sum()),
            float(numbers[-1]),
        )


@final
class LabelColumn:
    """A column of labels."""

    def __init__(self, place: int) -> None:
        self.place = place
        self.codes = array("i")
        self.known: dict[str, int] = {}

    def parse(self, cells: Sequence[str]) -> None:
        """Append the labels in cells."""
        known = self.known
        self.codes.extend(known.setdefault(text, len(known)) if (text := cell.strip()) else -1 for cell in cells)

    def done(self) -> Labels:
        """The column's labels."""
        codes = np.frombuffer(self.codes, np.intc) if self.codes else np.empty(0, np.intc)
        return Labels(codes, list(self.known))
