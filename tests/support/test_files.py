"""merpo.support.files: a file has its old content or its new one, whatever happens."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from merpo.errors import MerpoError
from merpo.support.files import (
    atomic_write_bytes,
    atomic_write_json,
    atomic_write_tensors,
    atomic_write_text,
    sha256_file,
)

posix = pytest.mark.skipif(os.name != "posix", reason="file modes")


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    atomic_write_bytes(tmp_path / "new" / "a", b"\x00\xff")
    atomic_write_text(tmp_path / "b", "naïve\n")
    atomic_write_json(tmp_path / "c", {"x": [1, 0.5, None]})
    assert (tmp_path / "new" / "a").read_bytes() == b"\x00\xff"
    assert (tmp_path / "b").read_bytes() == "naïve\n".encode()
    assert (tmp_path / "c").read_text() == '{\n  "x": [\n    1,\n    0.5,\n    null\n  ]\n}\n'
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b", "c", "new"]  # no temporary file is left
    assert sha256_file(tmp_path / "b") == hashlib.sha256("naïve\n".encode()).hexdigest()


def test_json_without_a_number_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        atomic_write_json(tmp_path / "x", float("nan"))
    assert not list(tmp_path.iterdir())


def test_tensors_that_share_memory_or_are_strided_are_written(tmp_path: Path) -> None:
    base = torch.arange(6.0).view(2, 3)
    tensors = {"all": base, "row": base[1], "turned": base.T}
    atomic_write_tensors(tmp_path / "t", tensors, {"who": "me"})
    loaded = load_file(tmp_path / "t")
    assert loaded.keys() == tensors.keys()
    assert all(loaded[key].equal(tensors[key]) for key in tensors)
    with safe_open(tmp_path / "t", "pt") as file:
        assert file.metadata() == {"who": "me"}


@posix
@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
def test_the_mode_is_the_umasks(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        atomic_write_tensors(tmp_path / "t", {"x": torch.zeros(1)})
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "t").stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    path = tmp_path / "x"
    atomic_write_bytes(path, b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, failing, full)
    with pytest.raises(MerpoError, match=r"x: cannot be written: No space left"):
        atomic_write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_mapped_reader_keeps_the_old_content(tmp_path: Path) -> None:
    atomic_write_tensors(tmp_path / "t", {"x": torch.ones(10_000)})
    old = load_file(tmp_path / "t")["x"]
    atomic_write_tensors(tmp_path / "t", {"x": torch.zeros(1)})
    assert old.equal(torch.ones(10_000))
    assert load_file(tmp_path / "t")["x"].equal(torch.zeros(1))


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(MerpoError, match=r"file.x: cannot be written"):
        atomic_write_bytes(tmp_path / "file" / "x", b"")
