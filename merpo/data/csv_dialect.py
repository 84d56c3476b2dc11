"""How a csv file is written, found from its content: delimiter, header and decimal mark, or a refusal with the line."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from itertools import chain, islice
from pathlib import Path
from typing import TextIO
from unicodedata import normalize

from merpo.data.csv_encoding import find_encoding
from merpo.data.csv_format import DELIMITERS, CsvDialect, CsvFormat, Decimal, Delimiter
from merpo.errors import DatasetError
from merpo.support.read import open_regular

__all__ = ["BOOLEANS", "column_names", "find_decimal", "find_dialect", "is_number", "open_lines", "rows_of"]

SAMPLE = 200  # lines from which delimiter and header are found
LONGEST_LINE = 1 << 20  # characters of a line of the sample
MINE = "columns.toml"
BOOLEANS = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0}

NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?", re.ASCII)
COMMA = re.compile(r"[+-]?(\d+,\d*|,\d+)([eE][+-]?\d+)?", re.ASCII)
POINT = re.compile(r"[+-]?(\d+\.\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}", re.ASCII)  # 1,234: a fraction, or a thousand and more
EXCEL = re.compile(r'"?sep=(.)"?\s*')  # a first line of Excel's that names the delimiter

Row = tuple[int, list[str]]  # the line (from 1) at which it ends, and its cells


def find_dialect(path: Path, given: CsvFormat, wanted: Collection[str] = ()) -> CsvDialect:
    """The format of a file but its decimal mark, as `given` or found; `wanted` are names of columns it should have.

    Raises `DatasetError` with cause and line where the content leaves more than one reading.
    """
    encoding = given.encoding or find_encoding(path)
    found = CsvDialect(encoding, given.delimiter or ",", given.decimal, header=True, skip_lines=given.skip_lines)
    try:
        lines = _sample(path, found)
        named = EXCEL.fullmatch(lines[0]) if lines else None
        if named and given.delimiter in (None, named[1]) and named[1] in DELIMITERS:
            given = given.model_copy(update={"delimiter": named[1]})
            found = found._replace(skip_lines=found.skip_lines + 1)
            lines = lines[1:]
        found = found._replace(delimiter=given.delimiter or _delimiter(path, lines, wanted, 1 + found.skip_lines))
        first = next((row for row in _rows(lines, found.delimiter) if row), [])
        header = _has_header(first, wanted) if given.header is None else given.header
        found = found._replace(header=header)
    except UnicodeError:
        raise DatasetError(f"{path}: cannot be read as {encoding}; set encoding under [csv] in {MINE}") from None
    return found


@contextmanager
def open_lines(path: Path, dialect: CsvDialect) -> Iterator[TextIO]:
    """The file, opened as text, at the first line that is read."""
    encoding = "utf-8-sig" if dialect.encoding == "utf-8" else dialect.encoding
    with open_regular(path) as opened, TextIOWrapper(opened, encoding, newline="") as file:
        for _ in islice(file, dialect.skip_lines):
            pass
        yield file


def rows_of(path: Path, dialect: CsvDialect, lines: Iterable[str], first: int) -> Iterator[Row]:
    """The rows in lines, of which the first is line `first` of the file; without empty ones."""
    reader = csv.reader(lines, delimiter=dialect.delimiter)
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise DatasetError(f"{path}: line {first + reader.line_num - 1}: {error}") from None
        if row is None:
            return
        if row:
            yield first + reader.line_num - 1, row


def column_names(first: Sequence[str], header: bool) -> list[str]:
    """The names in a file's first row; `column 1`, `column 2`, ... where it has none."""
    names = [name.strip() if header else "" for name in first]
    if names and names[0].startswith("#"):  # as NumPy writes a header
        names[0] = names[0].lstrip("# ")
    return [name or f"column {i}" for i, name in enumerate(names, 1)]


def is_number(cell: str) -> bool:
    """Whether a cell is a number, with a point or a comma for its decimal mark."""
    return NUMBER.fullmatch(cell.strip()) is not None


def find_decimal(path: Path, dialect: CsvDialect, columns: Collection[str], whole: bool = False) -> Decimal | None:
    """The decimal mark of the numbers in some columns, None without marks.

    It is that of a sample, or of the `whole` file. The sample is not enough where each of its marks may separate
    thousands. Raises `DatasetError` for both marks, or if that is so in the whole file.
    """
    seen: dict[Decimal, int] = {}  # the first line with each mark
    certain, doubtful = False, ""
    both = dialect.delimiter == ";"  # as where commas are decimal marks, and points separate thousands
    with open_lines(path, dialect) as file:
        for line, row in _cells_of(path, dialect, file, columns):
            if line > SAMPLE and not whole and (certain or not (seen or both)):
                break
            for cell in row:
                mark = _mark(cell)
                if mark is None:
                    continue
                seen.setdefault(mark, line)
                if mark == "," or both:
                    certain, doubtful = certain or not GROUPED.fullmatch(cell), doubtful or cell
                else:
                    certain = True
            if len(seen) > 1:
                raise DatasetError(
                    f"{path}: line {seen[',']} has a number with a decimal comma, and line {seen['.']} one with a "
                    f"decimal point, expected one mark in all columns that are used; set decimal under [csv] in {MINE}"
                )
    found = next(iter(seen), None)
    if found and not certain:
        raise DatasetError(
            f"{path}: line {seen[found]} has {doubtful!r}, and no other number tells whether {found!r} is its decimal "
            f'mark or separates thousands, which are not read; set decimal = "{found}" under [csv] in {MINE}'
        )
    return found


def _cells_of(path: Path, dialect: CsvDialect, lines: Iterable[str], columns: Collection[str]) -> Iterator[Row]:
    """The stripped cells of some columns, row by row below the header."""
    rows = rows_of(path, dialect, lines, 1 + dialect.skip_lines)
    first = next(rows, (0, []))
    names = column_names(first[1], dialect.header)
    places = [i for i, name in enumerate(names) if name in columns]
    for line, row in rows if dialect.header else chain([first], rows):
        yield line, [row[i].strip() for i in places if i < len(row)]


def _mark(cell: str) -> Decimal | None:
    """The mark in a number, None without one."""
    if "," in cell and COMMA.fullmatch(cell):
        return ","
    return "." if "." in cell and POINT.fullmatch(cell) else None


def _sample(path: Path, dialect: CsvDialect) -> list[str]:
    """The first lines, without empty ones."""
    with open_lines(path, dialect) as file:
        found = list(islice(iter(lambda: file.readline(LONGEST_LINE), ""), SAMPLE))
    return [line for line in found if line.strip()]


def _rows(lines: Sequence[str], delimiter: Delimiter) -> list[list[str]]:
    """The rows of a sample; none where it cannot be read so."""
    try:
        rows = [row for row in csv.reader(lines, delimiter=delimiter) if row]
    except csv.Error:
        return []
    return rows[:-1] if len(rows) > 2 else rows  # the last one may be cut in a quoted cell


def _delimiter(path: Path, lines: Sequence[str], wanted: Collection[str], first: int) -> Delimiter:
    """The only delimiter that gives all rows an equal number of cells, or the wanted names; see `find_dialect`."""
    tables = {delimiter: _rows(lines, delimiter) for delimiter in DELIMITERS}
    tables = {delimiter: rows for delimiter, rows in tables.items() if rows and len(rows[0]) > 1}
    if len(tables) < 2:
        return next(iter(tables), ",")
    named = [key for key, rows in tables.items() if _names(rows[0], wanted)]
    if len(named) == 1:
        return named[0]
    even = {key: rows for key, rows in tables.items() if len({len(row) for row in rows}) == 1}
    fitting = [key for key, rows in even.items() if not any(_splits(row, even, key) for row in rows)]
    if len(fitting) == 1:
        return fitting[0]
    if not even:  # a row has another length; the line is named when it is read
        return max(tables, key=lambda key: _even_rows(tables[key]))
    marks = " and ".join(repr(key) for key in even)
    raise DatasetError(
        f"{path}: line {first} can be read with {marks} between its columns; set delimiter under [csv] in {MINE}"
    )


def _splits(row: Sequence[str], others: Iterable[Delimiter], own: Delimiter) -> bool:
    """Whether a cell has another delimiter in it; a comma may also be a decimal mark."""
    marks = [other for other in others if other not in (own, ",")]
    return any(mark in cell for cell in row for mark in marks)


def _even_rows(rows: Sequence[Sequence[str]]) -> int:
    """The number of rows of the most frequent length."""
    return Counter(map(len, rows)).most_common(1)[0][1]


def _has_header(first: Sequence[str], wanted: Collection[str]) -> bool:
    """Whether a first row has names: not if all its cells are values, unless the names are those that are wanted."""
    if _names(first, wanted):
        return True
    cells = [cell.strip() for cell in first]
    values = [is_number(cell) or cell.casefold() in BOOLEANS for cell in cells if cell]
    return not (values and all(values))


def _names(first: Sequence[str], wanted: Collection[str]) -> bool:
    """Whether a first row has all the wanted names, however their accents are encoded."""
    found = {normalize("NFC", name) for name in column_names(first, header=True)}
    return bool(wanted) and found.issuperset(normalize("NFC", name) for name in wanted)
