"""The columns of a csv file: the used ones are read in one pass, into arrays of numbers instead of text."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, final

from merpo.data.csv_cells import BadCellError, Cell, DecimalCommaError, LabelColumn, NumberColumn
from merpo.data.csv_dialect import Row, column_names, find_decimal, find_dialect, is_number, open_lines, rows_of
from merpo.data.csv_format import CsvFormat
from merpo.data.labels import Labels
from merpo.errors import DatasetError
from merpo.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CsvTable"]

CHUNK = 8192  # lines
MARKS = {".": "a decimal point", ",": "a decimal comma"}


@final
class CsvTable(Mapping[str, list[str]]):
    """A csv file by the names of its columns. `table[name]` reads a column as text, `numbers` and `labels` as such.

    `load` reads several columns in one pass; each is kept until it is taken. After `leave_out`, rows with these labels
    are not there. Every error names the file and the line (from 1).
    """

    def __init__(
        self, path: Path, given: CsvFormat | None = None, numbers: Collection[str] = (), labels: Collection[str] = ()
    ) -> None:
        self.path, self.given = path, given or CsvFormat()
        self.dialect = find_dialect(path, self.given, numbers, labels)
        with open_lines(path, self.dialect) as file:
            _, self.first = next(self._split(file, 1 + self.dialect.skip_lines), (0, []))
        self.names = column_names(self.first, self.dialect.header)
        self.gaps: dict[str, Cell] = {}  # the first cell without a value, in columns that were read as numbers
        self._numbers: dict[str, NDArray[Any]] = {}
        self._labels: dict[str, Labels] = {}
        self._left_out: tuple[int, frozenset[str]] = (0, frozenset())  # the place of a column, and its labels
        self.left_out_labels: set[str] = set()  # those of which rows were found

    def __getitem__(self, name: str) -> list[str]:
        place = self.place(name)
        return [row[place] for _, row in self.rows()]

    def __contains__(self, name: object) -> bool:
        return name in self.names  # without reading it, as a mapping would

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def place(self, name: str) -> int:
        """The position of a column in every row; raises `KeyError` if there is no such column."""
        if name not in self.names:
            raise KeyError(name)
        return self.names.index(name)

    def leave_out(self, name: str, labels: Collection[str]) -> None:
        """Leave out the rows with one of these labels in a column, whatever else stands in them."""
        self._left_out = (self.place(name), frozenset(labels))
        self._numbers.clear()
        self._labels.clear()

    def load(self, numbers: Sequence[str], labels: Sequence[str] = ()) -> None:
        """Read columns, which `numbers` and `labels` then give without reading again."""
        try:
            self._read(numbers, labels)
        except DecimalCommaError:  # the first of the file is below the sample of its dialect
            mark = find_decimal(self.path, self.dialect, numbers, whole=True)
            self.dialect = self.dialect._replace(decimal=mark)
            self._read(numbers, labels)

    def numbers(self, name: str) -> NDArray[Any]:
        """A column as float64, NaN in its `gaps`; the array is the caller's, and the next call reads it again."""
        if name not in self._numbers:
            self.load([name])
        return self._numbers.pop(name)

    def labels(self, name: str) -> Labels:
        """A column as labels."""
        if name not in self._labels:
            self.load([], [name])
        return self._labels.pop(name)

    def line(self, row: int) -> int:
        """The line of the file in which row `row` (from 0) ends."""
        return next(islice(self.rows(), row, None))[0]

    def rows(self) -> Iterator[Row]:
        """The rows that are not left out, without the header, each with its line."""
        with open_lines(self.path, self.dialect) as file:
            yield from self._checked(self._split(file, self._skip_header(file)))

    def _split(self, lines: Iterable[str], first: int) -> Iterator[Row]:
        return rows_of(self.path, self.dialect, lines, first)

    def _skip_header(self, file: TextIO) -> int:
        """Read the header, if there is one; returns the line below it."""
        first = 1 + self.dialect.skip_lines
        return next(self._split(file, first), (first, []))[0] + 1 if self.dialect.header else first

    def _checked(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Those of some rows that are not left out; raises `DatasetError` for one of another length."""
        width, (place, left_out) = len(self.names), self._left_out
        for line, row in rows:
            if left_out and place < len(row) and (label := row[place].strip()) in left_out:
                self.left_out_labels.add(label)
                continue
            if len(row) != width:
                commas = self.dialect.delimiter == "," and len(row) > width
                hint = "; decimal commas between commas cannot be read" if commas else ""
                raise DatasetError(f"{self.path}: line {line} has {len(row)} values, expected {width}{hint}")
            yield line, row

    def _read(self, numbers: Sequence[str], labels: Sequence[str]) -> None:
        number_columns = {name: NumberColumn(self.place(name), self.dialect.decimal) for name in numbers}
        label_columns = {name: LabelColumn(self.place(name)) for name in labels}
        line = 0
        try:
            with open_lines(self.path, self.dialect) as file:
                line = self._skip_header(file)
                while lines := list(islice(file, CHUNK)):
                    if self._read_plain(lines, line, number_columns, label_columns):
                        line += len(lines)
                    else:
                        line = self._read_rows(lines, file, line, number_columns, label_columns)
        except UnicodeError as error:
            raise DatasetError(
                f"{self.path}: cannot be read as {self.dialect.encoding} below line {line} ({error!s:.80})"
            ) from None
        for name, column in number_columns.items():
            self._check_words(name, column)
            self._numbers[name] = column.done()
            if column.gap:
                self.gaps[name] = column.gap
        self._labels |= {name: column.done() for name, column in label_columns.items()}

    def _read_plain(
        self, lines: list[str], first: int, numbers: Mapping[str, NumberColumn], labels: Mapping[str, LabelColumn]
    ) -> bool:
        """Read lines that are a row each, by NumPy's parser; returns False, with nothing read, where they are not."""
        delimiter, width = self.dialect.delimiter, len(self.names) - 1
        if width < 1 or any('"' in line or line.count(delimiter) != width for line in lines):
            return False
        at = list(range(first, first + len(lines)))
        place, left_out = self._left_out
        if left_out:
            found = [cell.strip() for cell in _cells(lines, delimiter, place)]
            self.left_out_labels.update(left_out.intersection(found))
            kept = [i for i, label in enumerate(found) if label not in left_out]
            lines, at = [lines[i] for i in kept], [at[i] for i in kept]
        quick = [column for column in numbers.values() if column.plain]
        try:
            block = self._parse(lines, [column.place for column in quick])
        except ValueError:
            return False
        for i, column in enumerate(quick):
            column.extend(block[:, i])
        for name, column in numbers.items():
            if column not in quick:
                self._parse_column(name, column, _cells(lines, delimiter, column.place), at)
        for labelled in labels.values():
            labelled.parse(_cells(lines, delimiter, labelled.place))
        return True

    def _parse(self, lines: Sequence[str], places: Sequence[int]) -> NDArray[Any]:
        """The numbers in some columns [rows, columns]; raises `ValueError` where a cell is none."""
        if not (lines and places):
            return np.empty((len(lines), len(places)))
        if self.dialect.decimal == ",":
            if any("." in line for line in lines):
                raise ValueError
            lines = [line.replace(",", ".") for line in lines]
        return np.loadtxt(lines, delimiter=self.dialect.delimiter, usecols=places, comments=None, ndmin=2)

    def _read_rows(
        self,
        lines: list[str],
        file: TextIO,
        first: int,
        numbers: Mapping[str, NumberColumn],
        labels: Mapping[str, LabelColumn],
    ) -> int:
        """Read lines, and those in which their last row goes on, cell by cell; returns the line below."""
        rows, last = [], first + len(lines) - 1
        for row in self._split(chain(lines, file), first):
            rows.append(row)
            if row[0] >= last:
                last = row[0]
                break
        checked = list(self._checked(rows))
        at = [line for line, _ in checked]
        for name, column in numbers.items():
            self._parse_column(name, column, [row[column.place] for _, row in checked], at)
        for labelled in labels.values():
            labelled.parse([row[labelled.place] for _, row in checked])
        return last + 1

    def _parse_column(self, name: str, column: NumberColumn, cells: Sequence[str], lines: Sequence[int]) -> None:
        try:
            column.parse(cells, lines)
        except BadCellError as error:
            text, line = error.cell
            mark = f" with {MARKS[self.dialect.decimal or '.']}" if is_number(text) else ""
            guess = self.dialect.encoding == "latin-1" != self.given.encoding and not text.isascii()
            hint = "; the file is not UTF-8 and was read as Latin-1" if guess else ""
            raise DatasetError(
                f"{self.path}: {name[:80]} is {text[:40]!r} in line {line}, expected a number{mark}{hint}"
            ) from None

    def _check_words(self, name: str, column: NumberColumn) -> None:
        """Raise `DatasetError` for other numbers than 0 and 1 in a column with TRUE or FALSE."""
        if column.word is None:
            return
        values = column.done()
        other = (values != 0.0) & (values != 1.0) & ~np.isnan(values)
        if other.any():
            row = int(other.argmax())
            raise DatasetError(
                f"{self.path}: {name[:80]} is {values[row]:g} in line {self.line(row)}, expected TRUE or FALSE as in "
                f"line {column.word.line}"
            )


def _cells(lines: Iterable[str], delimiter: str, place: int) -> list[str]:
    """A column of lines without quotes."""
    return [line.split(delimiter, place + 1)[place] for line in lines]
