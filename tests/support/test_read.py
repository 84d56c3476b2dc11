"""merpo.support.read: every way in which a JSON or TOML file can be wrong, named with what was expected."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from merpo.errors import DatasetError
from merpo.support.read import FileKind


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
