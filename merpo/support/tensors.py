"""Reader of safetensors files that others wrote; the only place that calls the library's readers."""

from __future__ import annotations

import json
import os
from pathlib import Path

from merpo.lazy import np
from merpo.support.read import open_regular, read_regular
from merpo.types import Params

__all__ = ["LIMIT", "mapped_tensors", "parse_tensors", "read_tensor_file", "sum_of"]

LIMIT = 8 << 30  # bytes of a file that is read into memory
MAX_HEADER = 100 << 20  # bytes, as in the library
_DAMAGE = (ValueError, KeyError, TypeError, RuntimeError, RecursionError, MemoryError)


def read_tensor_file(path: Path, limit: int = LIMIT) -> bytes:
    """The content of a safetensors file; raises `OSError`, and `ValueError` for a file that cannot be one.

    The length of its header is checked before the rest is read: an empty file of gigabytes takes no memory.
    """
    _check_file(path)
    try:
        return read_regular(path, limit)
    except MemoryError:
        raise ValueError("does not fit into memory") from None


def parse_tensors(content: bytes) -> tuple[Params, dict[str, str]]:
    """The tensors, each with its own memory, and the metadata in a file's content; raises `ValueError` if damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors = {name: tensor.clone() for name, tensor in load(content).items()}
        size = int.from_bytes(content[:8], "little")  # length of the JSON header, validated by `load`
        metadata = json.loads(content[8 : 8 + size]).get("__metadata__") or {}
    except (*_DAMAGE, SafetensorError) as error:
        raise ValueError(_text(error)) from None
    return tensors, dict(metadata)


def mapped_tensors(path: Path) -> Params:
    """The memory-mapped tensors of a file; raises `OSError`, and `ValueError` for a damaged file."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    _check_file(path)
    try:
        return dict(load_file(path))
    except (*_DAMAGE, SafetensorError) as error:
        raise ValueError(_text(error)) from None


def sum_of(path: Path, name: str) -> float:
    """The sum of one tensor of a file, of which nothing else is read; raises as `mapped_tensors` does."""
    from safetensors import SafetensorError, safe_open

    _check_file(path)
    try:
        with safe_open(path, framework="np") as file:
            return float(np.sum(file.get_tensor(name)))
    except (*_DAMAGE, SafetensorError) as error:
        raise ValueError(_text(error)) from None


def _text(error: BaseException) -> str:
    return str(error) or "does not fit into memory"  # a `MemoryError` has no text


def _check_file(path: Path) -> None:
    """Raise `OSError` for no regular file, `ValueError` unless it begins with the length of a header that fits in."""
    with open_regular(path) as file:
        first, size = file.read(8), os.fstat(file.fileno()).st_size
    length = int.from_bytes(first, "little")
    if len(first) < 8 or not 0 < length <= min(size - 8, MAX_HEADER):
        raise ValueError(f"its {size} bytes begin with a header of {length}, expected one within the file")
