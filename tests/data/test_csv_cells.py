"""Columns of csv cells: what is watched tells the same as the whole column would."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from merpo.data.csv_cells import BadCellError, LabelColumn, NumberColumn, WatchedColumn
from merpo.data.reading.unused import look_at

FLAGS = st.lists(st.sampled_from(["0", "1", "0.0", " 1.0", "true", "FALSE", "yes", "no"]), max_size=9)
COUNTS = st.lists(st.sampled_from(["3", "4", "5.5", "7"]), max_size=9)
ANYTHING = st.lists(st.sampled_from(["0", "1", "", "2", "a", "nan", "False", "-1"]), max_size=9)


@given(st.one_of(FLAGS, COUNTS, ANYTHING), st.integers(1, 9))
def test_a_watched_column_tells_what_the_whole_one_does(cells: list[str], chunk: int) -> None:
    column = WatchedColumn(0, None)
    for start in range(0, len(cells), chunk):
        column.parse(cells[start : start + chunk])
    truth, is_set, restarts, runs = column.done()
    whole = look_at(cells, (len(cells),))
    assert (truth is None) is (whole.truth is None)
    assert truth is None or np.array_equal(truth, whole.truth)
    assert (is_set, restarts, runs) == (whole.is_set, whole.restarts, whole.runs)


def test_a_column_that_tells_nothing_more_is_not_looked_at() -> None:
    column = WatchedColumn(0, ",")
    column.parse(["1,5", "0,3", "2", "4", "0,3"])
    assert column.decided
    column.parse(["0", "1"])
    assert column.rows == 5


@given(st.lists(st.one_of(st.sampled_from(["", "NA", "true", "No"]), st.floats(allow_nan=False).map(repr)), max_size=9))
def test_numbers_words_and_gaps(cells: list[str]) -> None:
    column = NumberColumn(0, ".")
    column.parse(cells, range(len(cells)))
    words = {"": np.nan, "NA": np.nan, "true": 1.0, "No": 0.0}
    expected = [words[cell] if cell in words else float(cell) for cell in cells]
    np.testing.assert_array_equal(column.done(), expected)
    gaps = [(cell, i) for i, cell in enumerate(cells) if cell in ("", "NA")]
    assert column.gap == (gaps[0] if gaps else None)
    assert column.plain is not any(cell in words for cell in cells)


def test_the_first_cell_that_is_no_number_is_named() -> None:
    with pytest.raises(BadCellError) as caught:
        NumberColumn(0, ",").parse(["1,5", "x", "1.5"], [7, 9, 11])
    assert caught.value.cell == ("x", 9)


def test_labels_are_counted_and_empty_ones_are_none() -> None:
    column = LabelColumn(0)
    column.parse(["b", " a ", ""])
    column.parse(["b"])
    found = column.done()
    assert (found.codes.tolist(), found.texts) == ([0, 1, -1, 0], ["b", "a"])
    np.testing.assert_array_equal(found.values(), [0, 1, np.nan, 0])
    assert LabelColumn(0).done().codes.tolist() == []
