"""Numbers as text: never a zero where there is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merpo.support.format import bytes_text, number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0.0, "0.00"),
        (0.0031, "0.0031"),
        (-0.0049, "-0.0049"),
        (1.25e-7, "1.2e-07"),
        (0.01, "0.01"),
        (0.126, "0.13"),
        (-12.0, "-12.00"),
        (1234.5, "1,234"),
    ],
)
def test_a_number(value: float | None, text: str) -> None:
    assert number(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12))
def test_what_is_not_zero_is_not_printed_as_zero(value: float) -> None:
    shown = float(number(value).replace(",", ""))
    assert (shown == 0) == (value == 0)
    assert shown == pytest.approx(value, rel=0.5)


def test_sizes() -> None:
    assert [bytes_text(n) for n in (800, 3 * 10**9, 2 * 10**12, 5 * 10**15)] == ["0.8 kB", "3.0 GB", "2.0 TB", "5.0 PB"]
