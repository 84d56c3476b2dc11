"""merpo.support.tensors: a file's header is checked before the rest takes memory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from merpo.support.files import atomic_write_tensors
from merpo.support.tensors import mapped_tensors, parse_tensors, read_tensor_file, sum_of


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path, tensors = tmp_path / "t", {"a": torch.arange(3.0), "b": torch.ones(2, 2)}
    atomic_write_tensors(path, tensors, {"who": "me"})
    found, metadata = parse_tensors(read_tensor_file(path))
    assert metadata == {"who": "me"}
    for read in (found, mapped_tensors(path)):
        assert all(read[key].equal(tensors[key]) for key in tensors)
    assert sum_of(path, "a") == 3.0
    with pytest.raises(OSError, match="larger than 100 bytes"):
        read_tensor_file(path, 100)


@pytest.mark.parametrize("size", [0, 7, 8, 9, 4 << 30])
def test_an_empty_file_of_gigabytes_is_not_read(tmp_path: Path, size: int) -> None:
    path = tmp_path / "t"
    path.touch()
    os.truncate(path, size)
    for read in (read_tensor_file, mapped_tensors):
        with pytest.raises(ValueError, match="begin with a header of 0"):
            read(path)
    with pytest.raises(ValueError, match="header"):
        sum_of(path, "a")


def test_a_header_that_is_longer_than_its_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes((10**6).to_bytes(8, "little") + b"{}")
    with pytest.raises(ValueError, match="its 10 bytes begin with a header of 1000000"):
        read_tensor_file(tmp_path / "t")
