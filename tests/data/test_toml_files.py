"""The TOML files of an import, as any editor saves them."""

from __future__ import annotations

from pathlib import Path

import pytest

from merpo.data.columns import read_columns
from merpo.data.toml_files import read_import_file
from merpo.errors import RecipeError

TEXT = 'observations = ["Füllstand"]\r\nrewards = "泵"\r\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_byte_order_mark_does_not_matter(encoding: str, tmp_path: Path) -> None:
    mark = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(encoding, b"")
    (tmp_path / "c.toml").write_bytes(mark + TEXT.encode(encoding))
    columns = read_columns(tmp_path / "c.toml")
    assert (columns.observations, columns.rewards) == (("Füllstand",), "泵")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfea", "encoded as UTF-16, expected UTF-8"),  # half a character
        (b"\xef\xbb\xbfa = \xff\n", "not UTF-8 at line 1"),
        (b"\xef\xbb\xbfa =\n", "not valid TOML"),
        (b"\xef\xbb\xbf\xef\xbb\xbfa = 1\n", "not valid TOML|begins with a byte-order mark"),
    ],
)
def test_what_is_damaged_behind_the_mark_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_bytes(content)
    with pytest.raises(RecipeError, match=f"c.toml: ({message})"):
        read_import_file(tmp_path / "c.toml")


def test_the_format_of_csv_files_is_checked_by_key(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('[csv]\ndelimiter = ":"\nencodng = "latin-1"\nskip_lines = -1\n')
    with pytest.raises(RecipeError) as caught:
        read_columns(tmp_path / "c.toml")
    lines = sorted(str(caught.value).splitlines())
    assert "csv.delimiter: got ':', expected" in lines[0]
    assert "csv.encodng: unknown key (did you mean 'encoding'?)" in lines[1]
    assert "csv.skip_lines: got -1, expected" in lines[2]
