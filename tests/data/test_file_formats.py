"""HDF5 files of logs: arrays by their paths, and nothing that a hostile file asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from conventions import d4rl, make_log
from hypothesis import HealthCheck, given, settings
from mutations import mutated

from merpo.data.columns import Columns
from merpo.data.file_formats import read_file
from merpo.errors import DatasetError, MerpoError


def write(path: Path, change: Callable[[Any], Any] = lambda file: None) -> Path:
    with h5py.File(path, "w") as file:
        for key, value in d4rl(make_log([4, 3], [True, False])).items():
            file[key] = value
        file["infos/qpos"] = np.zeros((7, 3))
        change(file)
    return path


def test_groups_are_part_of_the_names(tmp_path: Path) -> None:
    assert read_file(write(tmp_path / "a.hdf5"))["infos/qpos"].shape == (7, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda file: file.__setitem__("link", h5py.SoftLink("/rewards")), "link is a SoftLink"),
        (lambda file: file.__setitem__("link", h5py.ExternalLink("/etc/passwd", "x")), "link is a ExternalLink"),
        (
            lambda file: file.create_dataset("far", (2,), "f4", external=[("/etc/hostname", 0, 8)]),
            "far is stored in another file",
        ),
        (lambda file: file.create_dataset("huge", (10**9,), "f8", chunks=(1000,)), "bytes"),
        (lambda file: file.create_group("/".join("abcdefghijkl")), "too many members or levels"),
    ],
)
def test_what_leads_out_of_the_file_is_refused(change: Callable[[Any], Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=f"a.h5: .*{message}"):
        read_file(write(tmp_path / "a.h5", change))


def test_other_files_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.hdf5").write_text("no")
    (tmp_path / "b.pickle").write_text("no")
    with pytest.raises(DatasetError, match=r"a.hdf5: cannot be read as HDF5"):
        read_file(tmp_path / "a.hdf5")
    with pytest.raises(DatasetError, match=r"expected a file that ends in .csv, .npz, .parquet, .tsv, .hdf5, .h5"):
        read_file(tmp_path / "b.pickle")
    with pytest.raises(DatasetError, match="no such file"):
        read_file(tmp_path / "c.h5")
    with h5py.File(tmp_path / "d.h5", "w"):
        pass
    with pytest.raises(DatasetError, match="is empty"):
        read_file(tmp_path / "d.h5")


def test_no_mutation_lets_another_error_escape(tmp_path: Path) -> None:
    content, path, seen = write(tmp_path / "a.hdf5").read_bytes(), tmp_path / "b.hdf5", {"refused": 0, "taken": 0}

    @settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
    @given(mutated(content))
    def check(changed: bytes) -> None:
        path.write_bytes(changed)
        try:
            Columns().dataset(read_file(path), "b", {}, "b")
            seen["taken"] += 1
        except MerpoError:
            seen["refused"] += 1

    check()
    assert seen["refused"] > 20
