"""Arrays of HDF5 files are read when they are asked for."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from merpo.data.columns import Columns, changed
from merpo.data.hdf5_arrays import Hdf5Arrays
from merpo.data.hdf5_table import Hdf5Table
from merpo.errors import DatasetError


def test_opening_reads_no_array(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["infos/deep/qpos"] = np.ones((3, 2))
        file["metadata/algorithm"] = "SAC"
    read: list[str] = []
    real = Hdf5Arrays.array
    monkeypatch.setattr(Hdf5Arrays, "array", lambda self, node, place: (read.append(place), real(self, node, place))[1])
    table = Hdf5Table(tmp_path / "a.h5", 1000)
    assert list(table) == ["infos/deep/qpos", "metadata/algorithm"]
    assert table.shape("infos/deep/qpos") == (3, 2)
    assert table.shape("metadata/algorithm") == ()
    assert "infos/deep/qpos" in table
    assert "infos" not in table
    assert str(table["metadata/algorithm"]) == ""
    assert read == []
    assert table["infos/deep/qpos"].tolist() == [[1, 1]] * 3
    assert read == ["infos/deep/qpos"]
    with pytest.raises(DatasetError, match="needs 48 bytes in memory, expected at most 40"):
        Hdf5Table(tmp_path / "a.h5", 40)


def test_a_file_that_changes_meanwhile_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["rewards"] = np.ones(3)
    table = Hdf5Table(tmp_path / "a.h5", 1000)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["rewards"] = h5py.SoftLink("/etc")
    with pytest.raises(DatasetError, match="rewards is a SoftLink"):
        table["rewards"]


def test_text_in_every_row_may_be_a_flag(tmp_path: Path) -> None:
    path = tmp_path / "a.hdf5"
    with h5py.File(path, "w") as file:
        for key, value in {"observations": np.eye(4), "actions": np.zeros((4, 1)), "rewards": np.arange(4.0)}.items():
            file[key] = value
        file["over"] = ["no", "yes", "no", "yes"]
        file["note"] = "one text for all"
    with pytest.raises(DatasetError, match=r"'over' has text in every row, which is not read from HDF5"):
        Columns().dataset(Columns().table(path), "a", {}, "a")
    columns = changed(Columns(), "here", {"ignore": ["over"]})
    assert columns.read(columns.table(path), "a", {}, "a").account.unused == ("note", "over")
