"""merpo.support.checksum: a file knows its own bytes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merpo.errors import MerpoError
from merpo.support.checksum import PLACE, checksum_problem, with_checksum


def checksum_of(content: bytes) -> str:
    return re.findall(rb"sha256:[0-9a-f]{64}", content)[0].decode()


@given(st.binary(max_size=50), st.binary(max_size=50), st.data())
def test_every_other_byte_is_noticed(before: bytes, after: bytes, data: st.DataObject) -> None:
    content = with_checksum(before + PLACE.encode() + after)
    checksum = checksum_of(content)
    assert content == before + checksum.encode() + after
    assert checksum_problem(content, checksum) == ""
    changed = bytearray(content)
    changed[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert checksum_problem(bytes(changed), checksum)
    assert checksum_problem(content[:-1], checksum)
    assert checksum_problem(content + b"x", checksum)


@pytest.mark.parametrize("content", [b"", b"x", PLACE.encode() * 2])
def test_there_is_one_place_for_it(content: bytes) -> None:
    with pytest.raises(MerpoError, match=r"places for its checksum, expected one"):
        with_checksum(content)
