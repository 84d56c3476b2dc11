"""The one opener of files that others wrote, and readers of JSON and TOML; errors name the file and what is wrong.

Only regular files are opened, never a pipe or a device, and none is read beyond a size limit.
"""

from __future__ import annotations

import codecs
import errno
import json
import os
import reprlib
import stat
import tomllib
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, NoReturn, TypeVar, final

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from merpo.errors import ArtifactError, MerpoError, nearest

__all__ = ["LIMIT", "FileKind", "RefusedFileError", "open_regular", "read_regular"]

LIMIT = 64 << 20  # bytes
PIECE = 1 << 20  # bytes read at a time beyond the size that the system tells
SHOWN_ERRORS = 3

M = TypeVar("M")


class RefusedFileError(OSError):
    """A file that is not read: no regular file, or larger than its limit."""


def open_regular(path: Path) -> BufferedReader:
    """A regular file, opened for reading.

    Raises `OSError` for anything else, such as a folder, a pipe or a device, without waiting for it or reading it.
    """
    _require_regular(path.stat(), path)  # before it is opened, which has effects on some devices
    flags = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "O_BINARY"))
    descriptor = os.open(path, flags)
    try:
        _require_regular(os.fstat(descriptor), path)  # it may have been replaced meanwhile
    except OSError:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def read_regular(path: Path, limit: int) -> bytes:
    """The content of a regular file of at most `limit` bytes; raises `OSError`, also for a larger one."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        pieces: list[bytes] = []
        total = 0
        while size <= limit and total <= limit:  # at least one byte more than its size: it may grow meanwhile
            piece = file.read(max(size - total, 0) + PIECE)
            if not piece:
                return pieces[0] if len(pieces) == 1 else b"".join(pieces)
            pieces.append(piece)
            total += len(piece)
    raise RefusedFileError(errno.EFBIG, f"larger than {limit} bytes", str(path))


def _require_regular(status: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise RefusedFileError(errno.EINVAL, "not a file", str(path))


@final
@dataclass(frozen=True)
class FileKind:
    """A kind of file: `expected` names it in errors (of class `error`), `hint` says how to mend them.

    `marked`: it may begin with a byte-order mark, of UTF-8 or UTF-16, as editors on Windows write it.
    """

    expected: str
    error: type[MerpoError] = ArtifactError
    hint: str = ""
    limit: int = LIMIT
    marked: bool = False

    def read_json(self, path: Path) -> dict[str, Any]:
        """The object in a JSON file."""
        return self.parse_json(self.read_text(path), path)

    def read_toml(self, path: Path) -> dict[str, Any]:
        """The tables in a TOML file."""
        return self.parse_toml(self.read_text(path), path)

    def read_model(self, path: Path, model: type[M]) -> M:
        """The pydantic model (or type that pydantic validates) in a JSON file."""
        return self.parse_model(self.read_text(path), path, model)

    def parse_json(self, text: str, place: object) -> dict[str, Any]:
        """The object in a JSON text; `place` begins every message."""
        try:
            value = json.loads(text)
        except (ValueError, TypeError, RecursionError) as error:  # also absurd numbers and absurd nesting
            self.refuse(place, f"not valid JSON ({_first_line(error)})")
        if not isinstance(value, dict):
            self.refuse(place, f"found a JSON {type(value).__name__}")
        return value

    def parse_toml(self, text: str, place: object) -> dict[str, Any]:
        """The tables in a TOML text."""
        try:
            return tomllib.loads(text)
        except (ValueError, RecursionError, OverflowError, TypeError, KeyError, IndexError) as error:
            # TOMLDecodeError is a ValueError, as is an integer of thousands of digits
            self.refuse(place, f"not valid TOML ({_first_line(error)})")

    def parse_model(self, text: str, place: object, model: type[M]) -> M:
        """The model in a JSON text."""
        try:
            return TypeAdapter(model).validate_json(text)
        except ValidationError as error:
            self._refuse_fields(place, error)

    def validate(self, content: object, place: object, model: type[M]) -> M:
        """The model in content that was read by `read_json` or `read_toml`."""
        try:
            return TypeAdapter(model).validate_python(content)
        except ValidationError as error:
            self._refuse_fields(place, error)

    def read_bytes(self, path: Path) -> bytes:
        """The content of a regular file within the limit."""
        try:
            return read_regular(path, self.limit)
        except (OSError, ValueError) as error:
            self.refuse_unread(path, error)

    def open(self, path: Path) -> BufferedReader:
        """A regular file, opened for reading; for formats that are read in parts, with limits of their own."""
        try:
            return open_regular(path)
        except (OSError, ValueError) as error:
            self.refuse_unread(path, error)

    def read_text(self, path: Path) -> str:
        """The text of a file, in UTF-8 unless it is `marked`."""
        data = self.read_bytes(path)
        if self.marked:
            data = _without_mark(data)
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            self.refuse(path, "encoded as UTF-16", "UTF-8; save it as UTF-8")
        if data.startswith(codecs.BOM_UTF8):
            self.refuse(path, "begins with a byte-order mark", "plain UTF-8; save it without BOM")
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            line = data[: error.start].count(b"\n") + 1
            self.refuse(path, f"not UTF-8 at line {line} (byte {error.start})")

    def refuse_unread(self, path: Path, error: Exception) -> NoReturn:
        """Raise the error that a file cannot be opened or read."""
        if isinstance(error, FileNotFoundError):
            self.refuse(path, f"no such file{_nearest_file(path)}")
        if isinstance(error, RefusedFileError):
            self.refuse(path, str(error.strerror))
        self.refuse(path, f"cannot be read: {getattr(error, 'strerror', None) or error}")  # also a null byte in it

    def refuse(self, place: object, found: str, expected: str = "") -> NoReturn:
        """Raise the error that `found` is at `place`; `expected` where it is more precise than the kind's own."""
        hint = f"; {self.hint}" if self.hint else ""
        raise self.error(f"{place}: {found}, expected {expected or self.expected}{hint}") from None

    def _refuse_fields(self, place: object, error: ValidationError) -> NoReturn:
        details = error.errors(include_url=False)[:SHOWN_ERRORS]
        if details[0]["type"] == "json_invalid":
            self.refuse(place, f"not valid JSON ({details[0]['msg']})")
        self.refuse(place, "; ".join(map(_field_text, details)))


def _field_text(detail: ErrorDetails) -> str:
    """`key: what is wrong, got value`."""
    key = ".".join(map(str, detail["loc"]))
    return f"{key}{': ' if key else ''}{detail['msg']}, got {reprlib.repr(detail['input'])}"


def _without_mark(data: bytes) -> bytes:
    """The text in UTF-8 without a byte-order mark; unchanged if it is damaged."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return data.decode("utf-16").encode()
        except UnicodeError:
            return data
    return data.removeprefix(codecs.BOM_UTF8)


def _first_line(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "nested too deep"
    return str(error).splitlines()[0][:300] if str(error) else type(error).__name__


def _nearest_file(path: Path) -> str:
    """A hint at a file of the same type in the same folder."""
    try:
        return nearest(path.name, [other.name for other in path.parent.glob(f"*{path.suffix}")])
    except (OSError, ValueError):
        return ""
