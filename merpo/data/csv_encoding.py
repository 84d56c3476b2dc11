"""The encoding of a text file, found where its bytes leave no doubt."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from merpo.data.csv_format import Encoding
from merpo.errors import DatasetError
from merpo.support.read import open_regular

__all__ = ["find_encoding"]

BLOCK = 4 << 20  # bytes
HEAD = 4096  # bytes in which zeros are counted
MARKS: tuple[tuple[bytes, Encoding], ...] = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
HIGH = re.compile(rb"[\x80-\xff]+")
LONGEST = 2  # characters beyond ASCII in succession: more are a word of another alphabet, in another encoding
FIX = "set encoding under [csv] in columns.toml"


def find_encoding(path: Path) -> Encoding:
    """The encoding by its mark, else UTF-16 by its zeros, else UTF-8, else Latin-1 for single letters of it.

    Raises `DatasetError` with the line for other bytes, which several encodings read as different text.
    """
    with open_regular(path) as file:
        head = file.read(HEAD)
    marked = next((encoding for mark, encoding in MARKS if head.startswith(mark)), None)
    if marked:
        return marked
    if 0 in head:
        return _utf_16(path, head)
    at = _not_utf8(path)
    if at is None:
        return "utf-8"
    _require_latin_1(path, at)
    return "latin-1"


def _utf_16(path: Path, head: bytes) -> Encoding:
    """UTF-16 without a mark: a zero in every second byte of digits and Latin letters."""
    size = len(head) // 2
    first, second = head[0 : 2 * size : 2].count(0), head[1 : 2 * size : 2].count(0)
    if first == 0 and second * 2 >= size:
        return "utf-16-le"
    if second == 0 and first * 2 >= size:
        return "utf-16-be"
    line = head[: head.index(0)].count(b"\n") + 1
    raise DatasetError(f"{path}: line {line} holds a zero byte: not a text file")


def _not_utf8(path: Path) -> int | None:
    """The position of the first byte that is not UTF-8, None if there is none."""
    decoder, done = codecs.getincrementaldecoder("utf-8")(), 0
    with open_regular(path) as file:
        while block := file.read(BLOCK):
            if block.isascii() and not decoder.getstate()[0]:
                done += len(block)
                continue
            pending = len(decoder.getstate()[0])
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                return done - pending + error.start
            done += len(block)
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return done - len(decoder.getstate()[0]) - 1
    return None


def _require_latin_1(path: Path, at: int) -> None:
    """Raise `DatasetError` unless every line beyond ASCII has only what Latin-1 writes, and none is UTF-8.

    `at` is the first byte that is not UTF-8.
    """
    with open_regular(path) as file:
        start, other = 0, 0  # other: the first line that is UTF-8 and not ASCII
        for number, line in enumerate(file, 1):
            start += len(line)
            if line.isascii():
                continue
            if start <= at:
                other = other or number
            elif other:
                raise DatasetError(f"{path}: line {number} is not UTF-8 (byte {at}), but line {other} is; {FIX}")
            else:
                _require_single_letters(path, number, line)


def _require_single_letters(path: Path, number: int, line: bytes) -> None:
    """Raise `DatasetError` for bytes of which other encodings make letters, or words of another alphabet."""
    for found in HIGH.finditer(line):
        run = found[0]
        if min(run) < 0xA0 or len(run) > LONGEST or _is_utf8(run):
            raise DatasetError(
                f"{path}: line {number} has the bytes {run[:8].hex(' ')}: not UTF-8, and not certainly Latin-1; {FIX}, "
                "or save the file as UTF-8"
            )


def _is_utf8(run: bytes) -> bool:
    try:
        run.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
