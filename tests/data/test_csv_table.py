"""Csv files as others write them: read as they were meant, or refused with the cause and the line."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from merpo.data import csv_table
from merpo.data.csv_format import CsvFormat
from merpo.data.csv_table import CsvTable
from merpo.errors import DatasetError

NUMBERS = st.one_of(
    st.integers(-(10**6), 10**6).map(float), st.floats(-1e9, 1e9).map(lambda x: round(x, 4)), st.floats(allow_nan=False)
)
NAMES = ["Füllstand", "valve", "pH", "泵", "насос", "x (m³/h)", "note, short"]
LABELS = ["day 1", "Tag ö", "2024-05-01", "a;b", 'say "hi"', "x\r\ny"]
QUIET = settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])


@st.composite
def tables(draw: st.DrawFn) -> dict[str, list[Any]]:
    """A label in the first column, and columns of numbers and of truths."""
    rows = draw(st.integers(1, 12))
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    made: dict[str, list[Any]] = {"day": draw(st.lists(st.sampled_from(LABELS), min_size=rows, max_size=rows))}
    for name in names:
        kind = draw(st.sampled_from([NUMBERS, st.booleans()]))
        made[name] = draw(st.lists(kind, min_size=rows, max_size=rows))
    return made


def text_of(value: Any, decimal: str) -> str:
    if isinstance(value, bool):
        return str(value).upper()
    return repr(value).replace(".", decimal) if isinstance(value, float) else value


def written(table: dict[str, list[Any]], delimiter: str, decimal: str, line: str = "\n", quoting: int = 0) -> str:
    """A csv file as Python's own module writes it."""
    target = io.StringIO()
    writer = csv.writer(target, delimiter=delimiter, lineterminator=line, quoting=quoting)  # type: ignore[arg-type]
    writer.writerow(table)
    writer.writerows([text_of(value, decimal) for value in row] for row in zip(*table.values(), strict=True))
    return target.getvalue()


def read(path: Path, names: list[str], given: CsvFormat | None = None) -> dict[str, np.ndarray]:
    numbers = [name for name in names if name != "day"]
    table = CsvTable(path, given, names)
    table.load(numbers, ["day"] if "day" in names else [])
    return {name: table.numbers(name) for name in numbers}


@QUIET
@given(
    table=tables(),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    decimal=st.sampled_from([".", ","]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]),
    line=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    chunk=st.sampled_from([2, 3, 8192]),
)
def test_a_file_is_read_as_it_was_meant_or_refused(
    table: dict[str, list[Any]],
    delimiter: str,
    decimal: str,
    encoding: str,
    line: str,
    quoting: int,
    chunk: int,
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(written(table, delimiter, decimal, line, quoting).encode(encoding))
    before, csv_table.CHUNK = csv_table.CHUNK, chunk
    try:
        found = read(path, list(table))
        labels = CsvTable(path).labels("day")
    except DatasetError as error:
        reasons = ("thousands", "separat", "can be read with")
        assert any(reason in str(error) for reason in reasons), error
        given = CsvFormat(decimal=decimal, delimiter=delimiter)  # type: ignore[arg-type]
        found = read(path, list(table), given)
        labels = CsvTable(path, given).labels("day")
    finally:
        csv_table.CHUNK = before
    for name, values in table.items():
        if name != "day":
            np.testing.assert_array_equal(found[name], np.asarray(values, dtype=np.float64))
    assert [labels.texts[code] for code in labels.codes] == [label.strip() for label in table["day"]]


def put(tmp_path: Path, content: str | bytes, name: str = "pump.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "numbers", "dialect"),
    [
        ("a;b\n1;2\n", {"a": [1], "b": [2]}, {"delimiter": ";"}),
        ("a\tb\n1\t2\n", {"a": [1], "b": [2]}, {"delimiter": "\t"}),
        ("a;b\n1,5;2\n2,25;3\n", {"a": [1.5, 2.25], "b": [2, 3]}, {"delimiter": ";", "decimal": ","}),
        ('a,b\n"1,5","2"\n', {"a": [1.5], "b": [2]}, {"decimal": ","}),
        ("1,2\n3,4\n", {"column 1": [1, 3], "column 2": [2, 4]}, {"header": False}),
        ("1,5;2\n3,5;4\n", {"column 1": [1.5, 3.5]}, {"delimiter": ";", "decimal": ",", "header": False}),
        ("TRUE;1\nFALSE;2\n", {"column 1": [1, 0]}, {"delimiter": ";", "header": False}),
        ("sep=;\na;b\n1;2\n", {"b": [2]}, {"delimiter": ";", "skip_lines": 1}),
        ("# a,b\n1,2\n", {"a": [1], "b": [2]}, {}),
        (",a\n0,1\n", {"column 1": [0], "a": [1]}, {}),
        ("0,1\n5,6\n", {"0": [5], "1": [6]}, {}),  # a header of numbers, which are the names that are asked for
        ("a,b\nTrue,1\nfalse,2\n", {"a": [1, 0]}, {}),
        ("a,b\n1e3,-inf\n .5 ,+2.\n", {"a": [1000, 0.5], "b": [-math.inf, 2]}, {}),
        ("Füll;b\n1;2\n".encode("latin-1"), {"Füll": [1]}, {"encoding": "latin-1", "delimiter": ";"}),
        ("a;note\n1;größer\n2;25 °C\n".encode("latin-1"), {"a": [1, 2]}, {"encoding": "latin-1", "delimiter": ";"}),
        ("Füll,b\n1,2\n".encode("utf-16"), {"Füll": [1]}, {"encoding": "utf-16"}),
        ("Füll,b\n1,2\n".encode("utf-16-le"), {"Füll": [1]}, {"encoding": "utf-16-le"}),
        ("a;b\n" + "1;2\n" * 300 + "1,5;2\n", {"a": [1] * 300 + [1.5]}, {"delimiter": ";", "decimal": ","}),
        ("a;b\n1.234;0.5\n", {"a": [1.234], "b": [0.5]}, {"delimiter": ";"}),
        ("a,b\n1.234,2\n", {"a": [1.234]}, {}),
        ("a;b\n" + "1,234;2\n" * 300 + "0,5;2\n", {"a": [1.234] * 300 + [0.5]}, {"delimiter": ";", "decimal": ","}),
    ],
)  # fmt: skip
def test_the_format_is_found_and_told(
    content: str | bytes, numbers: dict[str, list[float]], dialect: dict[str, Any], tmp_path: Path
) -> None:
    table = CsvTable(put(tmp_path, content), None, list(numbers))
    table.load(list(numbers))
    for name, values in numbers.items():
        assert table.numbers(name).tolist() == values
    assert table.dialect.unusual() == dialect


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a;b\n1,234;2\n2,345;3\n", r"line 2 has '1,234', and no other number tells whether ',' is its decimal mark"),
        ("a;b\n1.234;2\n2.345;3\n", r"line 2 has '1.234', and no other number tells whether '.' is its decimal mark"),
        ("a;b\n1,5;2\n2.5;3\n", "line 2 has a number with a decimal comma, and line 3 one with a decimal point"),
        ("a;b\n" + "1.5;2\n" * 300 + "2,5;3\n", "a is '2,5' in line 302, expected a number with a decimal point"),
        ("a;b\n" + "1;2\n" * 300 + "2,5;3\n2.5;1\n", "a is '2.5' in line 303, expected a number with a"),
        ("a\tb\n" + "1\t2\n" * 300 + "2,5\t3\n2.5\t1\n", "line 302 has a number with a decimal comma, and line 303"),
        ("a;b\n" + "999;1\n" * 300 + "1.000;1\n", "line 302 has '1.000', and no other number tells"),
        ("a,b\n1,5,2\n", "line 2 has 3 values, expected 2; decimal commas between commas cannot be read"),
        ("a;b\n1;2\n3\n", "line 3 has 1 values, expected 2"),
        ("a,b\n1,2\n1.2.3,4\n", "a is '1.2.3' in line 3, expected a number$"),
        ("a,b\n1_0,2\n", "a is '1_0' in line 2"),
        ("a,b\nTRUE,2\n\n0.5,2\n", "a is 0.5 in line 4, expected TRUE or FALSE as in line 2"),
        ("x|y;z|w\n1|2;3|4\n", r"line 1 can be read with ';' and '\|' between its columns"),
        (b"a,b\n1,\x81\n", "line 2 has the bytes 81: not UTF-8, and not certainly Latin-1"),
        (b"a,b\n1,\xcf\xf0\xe8\xe2\xe5\xf2\n", "line 2 has the bytes cf f0 e8 e2 e5 f2: not UTF-8"),
        ("a,ü\n1,2\n".encode() + b"3,\xfc\n", "line 3 is not UTF-8 .byte 11., but line 1 is"),
        (b"a,b\n1,\xe4\n", "b is 'ä' in line 2, expected a number; the file is not UTF-8 and was read as Latin-1"),
        (b"a,b\n1,2\x00\x01\x02,\n", "line 2 holds a zero byte: not a text file"),
        ("a,b\nx" + "1" * 200_000 + ",2\n", "line 2: field larger than field limit"),
    ],
)  # fmt: skip
def test_what_can_be_read_in_two_ways_is_refused_by_line(content: str | bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=message) as caught:
        CsvTable(put(tmp_path, content), None, ["a", "b"]).load(["a", "b"])
    assert "pump.csv: " in str(caught.value)


@pytest.mark.parametrize(
    ("given", "content", "numbers"),
    [
        ({"decimal": ","}, "a;b\n1,234;2\n", {"a": [1.234]}),
        ({"decimal": "."}, "a;b\n1.234;2\n", {"a": [1.234]}),
        ({"delimiter": "|"}, "a|b;a2|b2\n1|2|3\n", {"b;a2": [2]}),
        ({"encoding": "cp1251"}, "насос,b\n1,2\n".encode("cp1251"), {"насос": [1]}),
        ({"encoding": "cp850"}, "Füll,b\n1,2\n".encode("cp850"), {"Füll": [1]}),
        ({"header": False}, "a,1\nb,2\n", {"column 2": [1, 2]}),
        ({"header": True}, "1,2\n3,4\n", {"1": [3], "2": [4]}),
        ({"skip_lines": 2}, "Logger 7\nof May\na,b\n1,2\n", {"a": [1]}),
    ],
)
def test_the_format_can_be_given(
    given: dict[str, Any], content: str | bytes, numbers: dict[str, list[float]], tmp_path: Path
) -> None:
    table = CsvTable(put(tmp_path, content), CsvFormat(**given), list(numbers))
    assert {name: table.numbers(name).tolist() for name in numbers} == numbers


def test_another_encoding_than_the_files_is_named(tmp_path: Path) -> None:
    path = put(tmp_path, b"a,b\n" + b"1,2\n" * 20_000 + b"\xff,3\n")
    with pytest.raises(DatasetError, match=r"pump.csv: cannot be read as utf-8 below line \d+"):
        CsvTable(path, CsvFormat(encoding="utf-8"), ["a"]).load(["a"])
    with pytest.raises(DatasetError, match="cannot be read as utf-16; set encoding under"):
        CsvTable(put(tmp_path, b"a,b\n1,2\n"), CsvFormat(encoding="utf-16"))


def test_rows_are_left_out_by_their_label_whatever_else_they_hold(tmp_path: Path) -> None:
    lines = ["day,a", "mon,1", "tue,x", "wed,3", "tue", 'thu,"4"', "tue,ERR,,,", "thu,5"]
    for chunk in (1, 2, 8192):
        table = CsvTable(put(tmp_path, "\n".join(lines) + "\n"))
        table.leave_out("day", ["tue"])
        before, csv_table.CHUNK = csv_table.CHUNK, chunk
        try:
            assert table.numbers("a").tolist() == [1, 3, 4, 5]
        finally:
            csv_table.CHUNK = before
        assert table.left_out_labels == {"tue"}
        assert table.labels("day").texts == ["mon", "wed", "thu"]
        assert [table.line(row) for row in range(4)] == [2, 4, 6, 8]
        assert table["day"] == ["mon", "wed", "thu", "thu"]


def test_a_cell_without_a_value_is_a_gap(tmp_path: Path) -> None:
    table = CsvTable(put(tmp_path, "a,b\n1,2\n,3\nNA,4\n5,6\n"))
    np.testing.assert_array_equal(table.numbers("a"), [1, np.nan, np.nan, 5])
    assert table.gaps == {"a": ("", 3)}
    assert table.numbers("b").tolist() == [2, 3, 4, 6]


def test_columns_are_read_in_one_pass_and_taken_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table, passes = CsvTable(put(tmp_path, "a,b,c\n1,2,x\n3,4,y\n")), []
    real = CsvTable._read
    monkeypatch.setattr(CsvTable, "_read", lambda self, *names: (passes.append(names), real(self, *names)))
    table.load(["a", "b"], ["c"])
    assert table.numbers("a").tolist() == [1, 3]
    assert table.numbers("b").tolist() == [2, 4]
    assert table.labels("c").texts == ["x", "y"]
    assert len(passes) == 1
    assert table.numbers("a").tolist() == [1, 3]
    assert len(passes) == 2
    assert "a" in table
    assert "z" not in table
    with pytest.raises(KeyError):
        table.load(["z"])


def test_marks_in_columns_that_are_not_used_do_not_matter(tmp_path: Path) -> None:
    table = CsvTable(put(tmp_path, "a;version;day\n1,5;1.5;x\n2,5;2,5;y\n"))
    assert table.labels("day").texts == ["x", "y"]
    assert table.looked("version")[0] is None
    assert table.numbers("a").tolist() == [1.5, 2.5]
    with pytest.raises(DatasetError, match=r"version is '1.5' in line 2, expected a number with a decimal comma"):
        table.numbers("version")


@given(st.lists(st.sampled_from(["1,2", '"3",4', '"5\n6",7', ""]), max_size=30), st.sampled_from(["\n", "\r\n", "\r"]))
@QUIET
def test_there_is_room_for_all_rows_of_a_file(tmp_path: Path, rows: list[str], line: str) -> None:
    """Whatever ends its lines, and with few numbers too many."""
    path = put(tmp_path, line.join(["a,b", *rows]))
    table = CsvTable(path, CsvFormat(delimiter=",", header=True), ["a", "b"])
    count = len([row for row in rows if row])
    assert len(list(table.rows())) == count <= csv_table._most_rows(path, 2) <= 1 + 2 * (1 + len(rows))
    with pytest.MonkeyPatch.context() as patch:  # columns never grow
        patch.setattr("merpo.data.csv_cells.max", lambda *sizes: pytest.fail("no room"), raising=False)
        table.load(["b"], ["a"])
    assert table.numbers("b").shape == (count,)


def test_numbers_can_be_kept_in_single_precision(tmp_path: Path) -> None:
    table = CsvTable(put(tmp_path, "a,b\n0.1,0.1\n1e300,2\n"), None, ["a", "b"])
    table.load(["a", "b"], rounded=["a"])
    assert table.numbers("a").tolist() == [float(np.float32(0.1)), np.inf]
    assert table.numbers("b").tolist() == [0.1, 2]
