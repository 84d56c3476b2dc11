"""merpo.support.read: every way in which a JSON or TOML file can be wrong, named with what was expected."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from merpo.errors import DatasetError
from merpo.support.files import sha256_file
from merpo.support.read import FileKind, open_regular, read_regular

posix = pytest.mark.skipif(os.name != "posix", reason="pipes and devices")


class Point(BaseModel):
    x: int
    y: list[int] = []


KIND = FileKind("a point", DatasetError, hint="draw another", limit=1000)


def test_what_is_right_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"x": 1, "y": [2]}')
    assert KIND.read_json(path) == {"x": 1, "y": [2]}
    assert KIND.read_model(path, Point) == Point(x=1, y=[2])
    assert KIND.read_model(path, dict[str, Any]) == {"x": 1, "y": [2]}
    path.write_text("x = 1\ny = [2]\n")
    assert KIND.validate(KIND.read_toml(path), path, Point) == Point(x=1, y=[2])


@pytest.mark.parametrize("read", [KIND.read_json, KIND.read_toml, lambda path: KIND.read_model(path, Point)])
@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"\xff\xfe{\x00", "encoded as UTF-16, expected UTF-8"),
        (b"\xef\xbb\xbf{}", "begins with a byte-order mark"),
        (b'{"x":\n"\xff"}', "not UTF-8 at line 2 (byte 7), expected a point"),
        (b" " * 1001, "larger than 1000 bytes, expected a point"),
        (b"{", "not valid "),
        (b"[" * 900, "not valid "),
        (b'{"x": ' + b"9" * 900, "not valid "),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, read: Callable[[Path], object], content: bytes, found: str) -> None:
    path = tmp_path / "point.json"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=f"^{re.escape(f'{path}: {found}')}.*; draw another$"):
        read(path)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            '{"y": [1, "b"]}',
            r"x: Field required, got {'y': \[1, 'b'\]}; y\.1: Input should be a valid integer.*, got 'b'",
        ),
        ("[1]", r"Input should be an object, got \[1\]"),
    ],
)
def test_fields_are_named_with_what_was_found(tmp_path: Path, text: str, found: str) -> None:
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(DatasetError, match=rf"p\.json: {found}, expected a point; draw another"):
        KIND.read_model(tmp_path / "p.json", Point)


def test_an_object_is_expected(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text("[1]")
    with pytest.raises(DatasetError, match=r"p\.json: found a JSON list, expected a point"):
        KIND.read_json(tmp_path / "p.json")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "point.json").mkdir()
    with pytest.raises(DatasetError, match=r"point\.json: not a file, expected a point; draw another"):
        KIND.read_json(tmp_path / "point.json")
    with pytest.raises(DatasetError, match=r"no such file \(did you mean 'point.json'\?\), expected a point"):
        KIND.read_json(tmp_path / "pint.json")
    with pytest.raises(DatasetError, match=r"cannot be read: .*null byte, expected a point"):
        KIND.read_json(tmp_path / "a\0b.json")


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """A pipe that nobody writes to: opening it for reading would block forever."""
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


@posix
@pytest.mark.timeout(20)
@pytest.mark.parametrize("special", ["pipe", "/dev/zero", "/dev/tty", "folder", "link to /dev/zero", "socket"])
@pytest.mark.parametrize("read", [KIND.read_text, KIND.read_bytes, KIND.open, KIND.read_json, KIND.read_toml])
def test_what_is_no_regular_file_is_neither_read_nor_waited_for(
    tmp_path: Path, pipe: Path, read: Callable[[Path], object], special: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = {"pipe": pipe, "folder": tmp_path, "link to /dev/zero": tmp_path / "link", "socket": tmp_path / "socket"}
    (tmp_path / "link").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(tmp_path)  # the path of a socket has at most 108 bytes
        server.bind("socket")
        path = places.get(special, Path(special))
        with pytest.raises(DatasetError, match=f"^{re.escape(str(path))}: not a file, expected a point; draw another$"):
            read(path)
    with pytest.raises(OSError, match="not a file"):
        open_regular(path)
    with pytest.raises(OSError, match="not a file"):
        sha256_file(path)


@posix
def test_a_file_that_becomes_a_pipe_before_it_is_opened(
    tmp_path: Path, pipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, opened = tmp_path / "a.json", os.open
    path.write_text("{}")

    def swap(place: Path, flags: int) -> int:
        path.unlink()
        pipe.rename(path)
        return opened(place, flags)

    monkeypatch.setattr(os, "open", swap)
    with pytest.raises(DatasetError, match="not a file"):
        KIND.read_json(path)


def test_a_file_is_read_up_to_its_limit_and_not_beyond(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for size in (0, 1, 999, 1000):
        path.write_bytes(b"x" * size)
        assert KIND.read_bytes(path) == b"x" * size
    os.truncate(path, 1 << 40)  # a terabyte that is not on the disk
    with pytest.raises(DatasetError, match="larger than 1000 bytes"):
        KIND.read_bytes(path)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux")
def test_a_file_is_read_whatever_size_the_system_tells() -> None:
    assert Path("/proc/self/status").stat().st_size == 0
    assert b"VmSize" in read_regular(Path("/proc/self/status"), 100_000)
    with pytest.raises(OSError, match="larger than 100 bytes"):
        read_regular(Path("/proc/self/status"), 100)
