"""How a csv file is written: the settings of `[csv]` in columns.toml, and what was found in a file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Literal, NamedTuple

from pydantic import Field

from merpo.components.component import Settings

__all__ = ["DELIMITERS", "CsvDialect", "CsvFormat", "dialect_lines"]

Delimiter = Literal[",", ";", "\t", "|"]
Decimal = Literal[".", ","]
Encoding = Literal[
    "utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "latin-2", "latin-9", "cp1250", "cp1251",
    "cp1252", "cp1253", "cp1254", "cp437", "cp850", "mac-roman", "koi8-r", "shift-jis", "euc-jp", "euc-kr", "gb18030",
    "big5",
]  # fmt: skip
DELIMITERS: tuple[Delimiter, ...] = (",", ";", "\t", "|")


class CsvFormat(Settings):
    """The format of csv files; what is not given is found in each file, or refused where it is not certain."""

    delimiter: Delimiter | None = Field(None, description="Character between columns.")
    decimal: Decimal | None = Field(None, description="Decimal mark of numbers.")
    encoding: Encoding | None = Field(None, description="Encoding of the text.")
    header: bool | None = Field(None, description="Whether the first row names the columns; else `column 1`, ...")
    skip_lines: int = Field(0, ge=0, le=100_000, description="Lines before the first row that are not read.")


class CsvDialect(NamedTuple):
    """The format of one file."""

    encoding: Encoding
    delimiter: Delimiter
    decimal: Decimal | None  # None: no number with a decimal mark was seen
    header: bool
    skip_lines: int

    def unusual(self) -> dict[str, object]:
        """What differs from comma, point, UTF-8 and a header, by the keys of `[csv]`."""
        usual = CsvDialect("utf-8", ",", ".", header=True, skip_lines=0)._asdict()
        return {key: value for key, value in self._asdict().items() if value not in (usual[key], None)}


def dialect_lines(dialects: Iterable[CsvDialect]) -> list[str]:
    """A line per format of csv files that differs from the usual one, as it can be written under `[csv]`."""
    lines = []
    for dialect, count in Counter(dialects).items():
        settings = ", ".join(f"{key} = {json.dumps(value)}" for key, value in dialect.unusual().items())
        lines.append(f"format of {count} csv files: {settings}; if it is another, set it under [csv] in columns.toml")
    return lines
