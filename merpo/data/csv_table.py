"""The columns of a csv file: the used ones are read in one pass, into arrays of numbers instead of text."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO, final

from merpo.data.csv_cells import BadCellError, Cell, DecimalCommaError, LabelColumn, NumberColumn, WatchedColumn
from merpo.data.csv_dialect import Row, column_names, find_decimal, find_dialect, is_number, open_lines, rows_of
from merpo.data.csv_format import CsvFormat
from merpo.data.labels import Labels
from merpo.data.looked import Looked
from merpo.errors import DatasetError
from merpo.lazy import np
from merpo.support.read import open_regular

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CsvTable"]

CHUNK = 8192  # lines
BLOCK = 1 << 20  # bytes
MARKS = {".": "a decimal point", ",": "a decimal comma"}


class _Columns(NamedTuple):
    """The columns that are read in one pass."""

    numbers: Mapping[str, NumberColumn]
    labels: Mapping[str, LabelColumn]
    watched: Mapping[str, WatchedColumn]


@final
class CsvTable(Mapping[str, list[str]]):
    """A csv file by the names of its columns. `table[name]` reads a column as text, `numbers` and `labels` as such.

    `load` reads several columns in one pass; each is kept until it is taken. After `leave_out`, rows with these labels
    are not there. Every error names the file and the line (from 1).
    """

    def __init__(self, path: Path, given: CsvFormat | None = None, wanted: Collection[str] = ()) -> None:
        self.path, self.given = path, given or CsvFormat()
        self.dialect = find_dialect(path, self.given, wanted)
        with open_lines(path, self.dialect) as file:
            _, self.first = next(self._split(file, 1 + self.dialect.skip_lines), (0, []))
        self.names = column_names(self.first, self.dialect.header)
        self._places = {name: i for i, name in enumerate(self.names)}
        self.gaps: dict[str, Cell] = {}  # the first cell without a value, in columns that were read as numbers
        self._numbers: dict[str, NDArray[Any]] = {}
        self._labels: dict[str, Labels] = {}
        self._looked: dict[str, Looked] = {}
        self._left_out: tuple[int, frozenset[str]] = (0, frozenset())  # the place of a column, and its labels
        self.left_out_labels: set[str] = set()  # those of which rows were found

    def __getitem__(self, name: str) -> list[str]:
        place = self.place(name)
        return [row[place] for _, row in self.rows()]

    def __contains__(self, name: object) -> bool:
        return name in self._places  # without reading it, as a mapping would

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def place(self, name: str) -> int:
        """The position of a column in every row; raises `KeyError` if there is no such column."""
        return self._places[name]

    def leave_out(self, name: str, labels: Collection[str]) -> None:
        """Leave out the rows with one of these labels in a column, whatever else stands in them."""
        self._left_out = (self.place(name), frozenset(labels))
        self._numbers.clear()
        self._labels.clear()

    def load(
        self,
        numbers: Sequence[str],
        labels: Sequence[str] = (),
        watched: Sequence[str] = (),
        rounded: Collection[str] = (),
    ) -> None:
        """Read columns in one pass, which `numbers`, `labels` and `looked` then give without reading again.

        Numbers of the columns in `rounded` are kept in float32.
        """
        if numbers and self.dialect.decimal is None:
            self.dialect = self.dialect._replace(decimal=find_decimal(self.path, self.dialect, numbers))
        try:
            self._read(numbers, labels, watched, rounded)
        except DecimalCommaError:  # the first of the file is below the sample of its dialect
            mark = find_decimal(self.path, self.dialect, numbers, whole=True)
            self.dialect = self.dialect._replace(decimal=mark)
            self._read(numbers, labels, watched, rounded)

    def numbers(self, name: str) -> NDArray[Any]:
        """A column as float64 (float32 if loaded so), NaN in its `gaps`.

        The array is the caller's, and the next call reads it again.
        """
        if name not in self._numbers:
            self.load([name])
        return self._numbers.pop(name)

    def looked(self, name: str) -> Looked:
        """What a column tells of episodes, as `WatchedColumn.done` gives it."""
        if name not in self._looked:
            self.load([], [], [name])
        return self._looked.pop(name)

    def labels(self, name: str) -> Labels:
        """A column as labels."""
        if name not in self._labels:
            self.load([], [name])
        return self._labels.pop(name)

    def line(self, row: int) -> int:
        """The line of the file in which row `row` (from 0) ends, 0 if there is no such row."""
        return next(islice(self.rows(), row, None), (0, []))[0]

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

    def _read(
        self, numbers: Sequence[str], labels: Sequence[str], watched: Sequence[str], rounded: Collection[str]
    ) -> None:
        decimal, rows = self.dialect.decimal, _most_rows(self.path, len(self.names)) if numbers else 0
        columns = _Columns(
            {name: NumberColumn(self.place(name), decimal, rows, name in rounded) for name in numbers},
            {name: LabelColumn(self.place(name)) for name in labels},
            {name: WatchedColumn(self.place(name), decimal) for name in watched},
        )
        line = 0
        try:
            with open_lines(self.path, self.dialect) as file:
                line = self._skip_header(file)
                while lines := list(islice(file, CHUNK)):
                    if self._read_plain(lines, line, columns):
                        line += len(lines)
                    else:
                        line = self._read_rows(lines, file, line, columns)
        except UnicodeError as error:
            raise DatasetError(
                f"{self.path}: cannot be read as {self.dialect.encoding} below line {line} ({error!s:.80})"
            ) from None
        for name, column in columns.numbers.items():
            self._check_words(name, column)
            self._numbers[name] = column.done()
            if column.gap:
                self.gaps[name] = column.gap
        self._labels |= {name: labelled.done() for name, labelled in columns.labels.items()}
        self._looked |= {name: seen.done() for name, seen in columns.watched.items()}

    def _read_plain(self, lines: list[str], first: int, columns: _Columns) -> bool:
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
        quick = [column for column in columns.numbers.values() if column.plain]
        try:
            block = self._parse(lines, [column.place for column in quick])
        except ValueError:
            return False
        for i, column in enumerate(quick):
            column.extend(block[:, i])
        self._parse_columns(columns, at, lambda place: _cells(lines, delimiter, place), quick)
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

    def _read_rows(self, lines: list[str], file: TextIO, first: int, columns: _Columns) -> int:
        """Read lines, and those in which their last row goes on, cell by cell; returns the line below."""
        rows, last = [], first + len(lines) - 1
        for row in self._split(chain(lines, file), first):
            rows.append(row)
            if row[0] >= last:
                last = row[0]
                break
        checked = list(self._checked(rows))
        self._parse_columns(columns, [line for line, _ in checked], lambda place: [row[place] for _, row in checked])
        return last + 1

    def _parse_columns(
        self,
        columns: _Columns,
        lines: Sequence[int],
        cells: Callable[[int], list[str]],
        parsed: Sequence[NumberColumn] = (),
    ) -> None:
        """Add the cells of rows that end in these lines to all columns but those that are parsed already."""
        for name, column in columns.numbers.items():
            if column not in parsed:
                self._parse_column(name, column, cells(column.place), lines)
        for labelled in columns.labels.values():
            labelled.parse(cells(labelled.place))
        for seen in columns.watched.values():
            if not seen.decided:
                seen.parse(cells(seen.place))

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


def _most_rows(path: Path, width: int) -> int:
    """The number of rows of so many columns that a file has at most: its lines, or what its bytes suffice for."""
    lines, size = 1, 0
    with open_regular(path) as file:
        while block := file.read(BLOCK):
            lines += block.count(b"\n")
            if b"\r" in block:
                lines += block.count(b"\r") - block.count(b"\r\n")
            size += len(block)
    return min(lines, size // max(2, width) + 1)


def _cells(lines: Iterable[str], delimiter: str, place: int) -> list[str]:
    """A column of lines without quotes."""
    return [line.split(delimiter, place + 1)[place] for line in lines]
