"""A file that carries its own SHA-256: computed over all of its bytes, with zeros in the place of the digest."""

from __future__ import annotations

import hashlib
import re

from merpo.errors import MerpoError

__all__ = ["PLACE", "checksum_problem", "with_checksum"]

_PREFIX = "sha256:"
PLACE = f"{_PREFIX}{'0' * 64}"  # what a writer puts where the checksum is to be


def with_checksum(content: bytes) -> bytes:
    """The content with its checksum instead of `PLACE`; raises `MerpoError` unless `PLACE` is in it exactly once."""
    if content.count(PLACE.encode()) != 1:
        raise MerpoError(f"the content has {content.count(PLACE.encode())} places for its checksum, expected one")
    digest = hashlib.sha256(content).hexdigest()
    return content.replace(PLACE.encode(), f"{_PREFIX}{digest}".encode())


def checksum_problem(content: bytes, checksum: str | None) -> str:
    """What is wrong with the `checksum` that a file carries, or an empty string."""
    if checksum is None or not re.fullmatch(rf"{_PREFIX}[0-9a-f]{{64}}", checksum):
        return f"its checksum is {checksum!r:.80}, expected {_PREFIX} and 64 hexadecimal digits"
    at = content.find(checksum.encode())
    if at < 0:
        return "its checksum is not where it is written, expected it in the header"
    view, digest = memoryview(content), hashlib.sha256()
    for part in (view[:at], PLACE.encode(), view[at + len(checksum) :]):
        digest.update(part)
    found = f"{_PREFIX}{digest.hexdigest()}"
    return "" if found == checksum else f"its checksum is {checksum}, but its content has {found}: damaged or edited"
