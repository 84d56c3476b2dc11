"""Atomic file writes, and digests of files."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import reprlib
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from merpo.errors import DatasetError, MerpoError
from merpo.support.read import RefusedFileError, open_regular
from merpo.support.tensor_bytes import tensor_bytes

if TYPE_CHECKING:
    import torch

__all__ = [
    "FILE_NAME",
    "FILE_NAME_BYTES",
    "NAME_CHARACTERS",
    "Digest",
    "atomic_write_bytes",
    "atomic_write_json",
    "atomic_write_tensors",
    "atomic_write_text",
    "fingerprint",
    "plain",
    "sha256_file",
    "sync_folder",
    "tensors_content",
    "write_synced",
]

LIMIT = 64 << 30  # bytes of a file whose digest is computed

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

# Letters, digits and their marks in any script (the ranges: scripts that write vowels as marks), '_', '.', '+', '-'.
NAME_CHARACTERS = r"\w\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0900-\u109f\u1780-\u17ff.+\-"
FILE_NAME = rf"^[^\W_][{NAME_CHARACTERS}]{{0,150}}$"  # a name, never a path: no separator, no leading dot
FILE_NAME_BYTES = 180  # of a name in UTF-8: with endings, it must not be longer than file systems allow


def atomic_write_bytes(path: Path, data: bytes) -> None:
    """Write `data` so that `path` holds the old or the new content whatever happens, the folder included if missing.

    The new content is a new file (permissions by the umask): a reader that has the old one memory-mapped keeps it.
    Raises `MerpoError` naming the path if the system refuses.
    """
    _atomic_write(path, [data])


def _atomic_write(path: Path, pieces: Iterable[bytes | memoryview]) -> None:
    """`atomic_write_bytes` of content in pieces."""
    if not path.name:
        raise MerpoError(f"{path}: is a folder, expected the path of a file")
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write_pieces(temporary, pieces)
            Path(temporary).replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        raise MerpoError(f"{path}: cannot be written: {error.strerror or error}") from error


def atomic_write_text(path: Path, text: str) -> None:
    """`atomic_write_bytes` of UTF-8 text."""
    atomic_write_bytes(path, text.encode())


def atomic_write_json(path: Path, value: object) -> None:
    """`atomic_write_bytes` of indented JSON; NaN and infinity, which JSON does not have, raise `ValueError`."""
    atomic_write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def atomic_write_tensors(
    path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """`atomic_write_bytes` of a safetensors file; the tensors may share memory, be strided, or lie on a device."""
    # Safetensors' own writer refuses tensors that share storage, leaves mode 0600, does not sync, and copies them all.
    _atomic_write(path, tensor_bytes(tensors, metadata))


def tensors_content(tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """The content of a safetensors file; the tensors may share memory, be strided, or lie on a device."""
    return b"".join(tensor_bytes(tensors, metadata))


def sha256_file(path: Path, limit: int = LIMIT) -> str:
    """The SHA-256 of a regular file's content in hex, read in pieces; raises `OSError`, also for a larger one."""
    with open_regular(path) as file:
        if os.fstat(file.fileno()).st_size > limit:
            raise RefusedFileError(errno.EFBIG, f"larger than {limit} bytes", str(path))
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_synced(path: Path, data: bytes) -> None:
    """Write a new file and wait until it is on the disk."""
    _write_pieces(path, [data])


def _write_pieces(path: Path, pieces: Iterable[bytes | memoryview]) -> None:
    """`write_synced` of content in pieces."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags, 0o666), "wb") as file:  # the system takes the umask off
        file.writelines(pieces)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut, where the system can open a folder (not on Windows)."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def plain(payload: Mapping[str, Any]) -> dict[str, Any]:
    """An object after a round trip through JSON, which turns tuples into lists; raises `DatasetError` if it cannot."""
    try:
        value = json.loads(json.dumps(payload, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise DatasetError(f"{reprlib.repr(payload)}: expected plain JSON values ({error})") from error
    return dict(value)


def fingerprint(payload: Mapping[str, Any]) -> str:
    """SHA-256 of a JSON object, whatever the order of its keys; raises `DatasetError` as `plain` does."""
    text = json.dumps(plain(payload), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
