"""Columns side by side: read when they are converted, one at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from merpo.data.joined import Joined
from merpo.data.table_files import read_table
from merpo.errors import DatasetError

ARRAYS: dict[str, Any] = {"a": np.arange(3), "b": np.ones((3, 2), np.float32), "c": np.zeros(3), "d": np.zeros(2)}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a"], [0, 1, 2]),
        (["b"], [[1, 1]] * 3),
        (["a", "c"], [[0, 0], [1, 0], [2, 0]]),
        (["b", "a"], [[1, 1, 0], [1, 1, 1], [1, 1, 2]]),
    ],
)
def test_columns_and_matrices_are_joined_in_order(names: list[str], expected: Any, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **ARRAYS)
    for table in (ARRAYS, read_table(tmp_path / "a.npz")):
        joined = Joined(table, names, "x")
        assert joined.ndim == np.ndim(joined) == np.ndim(expected)
        np.testing.assert_array_equal(np.asarray(joined), expected)
        np.testing.assert_array_equal(np.asarray(joined, dtype=np.float32), expected)
        kept = np.array([True, False, True])
        np.testing.assert_array_equal(np.asarray(Joined(table, names, "x", kept)), np.asarray(expected)[kept])


@pytest.mark.parametrize("names", [["a"], ["b"], ["a", "c"], ["b", "a", "b"]])
def test_columns_are_joined_in_single_precision_where_asked(names: list[str], tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **{**ARRAYS, "a": np.array([0.1, 1e300, 3])})
    table = read_table(tmp_path / "a.npz")
    found, exact = np.asarray(Joined(table, names, "x", rounded=True)), np.asarray(Joined(table, names, "x"))
    assert found.dtype == np.float32
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(found, exact.astype(np.float32))


def test_columns_of_other_lengths_are_refused() -> None:
    for names in (["a", "d"], ["b", "d"]):
        with pytest.raises(DatasetError, match=r"x: d has shape \(2,\), expected \(3,\) or \(3, \.\)"):
            np.asarray(Joined(ARRAYS, names, "x"))
