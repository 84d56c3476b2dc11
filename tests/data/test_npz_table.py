"""Arrays of NumPy archives are read when they are asked for; what is not used may hold anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from merpo.data.columns import Columns
from merpo.data.npz_table import NpzTable
from merpo.data.table_columns import label_column
from merpo.data.table_files import MAX_BYTES, read_table
from merpo.errors import DatasetError

LOG = {"observations": np.zeros((3, 2)), "actions": np.zeros((3, 1)), "rewards": np.arange(3.0)}


def test_opening_reads_no_array(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "a.npz", **LOG)
    read: list[object] = []
    real = np.lib.format.read_array
    monkeypatch.setattr(np.lib.format, "read_array", lambda file, **more: (read.append(file), real(file, **more))[1])
    table = NpzTable(tmp_path / "a.npz", MAX_BYTES)
    assert list(table) == list(LOG)
    assert "actions" in table
    assert "terminals" not in table
    assert table.shape("observations") == (3, 2)
    assert read == []
    assert table["rewards"].tolist() == [0, 1, 2]
    assert len(read) == 1


@pytest.mark.parametrize("dtype", ["M8[s]", "m8[ms]", "complex64", "V4", [("a", "f4"), ("b", "i4")]])
def test_values_of_other_types_matter_only_where_they_are_used(tmp_path: Path, dtype: Any) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **LOG, clock=np.zeros(3, dtype=dtype))
    account = Columns().read(Columns().table(path), "a", {}, "a").account
    assert account.unused == ("clock",)
    with pytest.raises(DatasetError, match=r"clock.npy: holds .*, expected numbers"):
        Columns().table(path)["clock"]


def test_python_objects_matter_only_where_they_are_used(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **LOG, infos=np.array([{"a": 1}, None, "x"], dtype=object))
    columns = Columns()
    assert len(columns.dataset(columns.table(path), "a", {}, "a")) == 2
    with pytest.raises(DatasetError, match=r"infos.npy: holds object, expected numbers; Python objects are not read"):
        read_table(path)
    with pytest.raises(DatasetError, match="Python objects are not read"):
        columns.table(path)["infos"]
    with pytest.raises(DatasetError, match="Python objects are not read"):
        columns.table(path).shape("infos")  # type: ignore[attr-defined]


def test_labels_are_numbers_or_text(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "a.npz", day=np.array(["mon", "", "tue"]), run=np.array([2.0, np.nan, 1.5]), step=[[1], [2], [1]]
    )
    table = read_table(tmp_path / "a.npz")
    assert label_column(table, "day").texts == ["", "mon", "tue"]
    assert label_column(table, "day").codes.tolist() == [1, -1, 2]
    assert label_column(table, "run").texts == ["1.5", "2", ""]
    assert label_column(table, "run").codes.tolist() == [1, -1, 0]
    np.testing.assert_array_equal(label_column(table, "run").values(), [1, np.nan, 0])


def test_a_file_that_is_gone_when_an_array_is_asked_for_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **LOG)
    columns = Columns()
    table = columns.table(tmp_path / "a.npz")
    (tmp_path / "a.npz").unlink()
    with pytest.raises(DatasetError, match=r"a.npz: cannot be read: No such file"):
        columns.dataset(table, str(tmp_path / "a.npz"), {}, "a")


@pytest.mark.parametrize(
    ("name", "width", "is_read"), [("infos", 3, False), ("infos", 2, True), ("done_images", 3, True)]
)
def test_large_arrays_that_are_not_used_are_not_read(
    name: str, width: int, is_read: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With more than two numbers for a reward they tell nothing of episodes, unless their name says so."""
    log = {"observations": np.random.rand(4, 2), "actions": np.zeros((4, 1)), "rewards": np.arange(4.0)}
    np.savez(tmp_path / "a.npz", **log, terminals=[0, 1, 0, 1], **{name: np.random.rand(4, width)})
    read: list[str] = []
    real = NpzTable.__getitem__
    monkeypatch.setattr(NpzTable, "__getitem__", lambda table, key: (read.append(key), real(table, key))[1])
    made = Columns().read(Columns().table(tmp_path / "a.npz"), "a", {}, "a")
    assert made.account.unused == (name,)
    assert (name in read) == is_read
