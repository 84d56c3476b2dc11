"""Numbers as text: never a zero where there is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merpo.support.format import bytes_text, number, share


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


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.0, 0, "0%"),
        (0.0, 1, "0.0%"),
        (0.0004, 1, "0.04%"),
        (0.0005, 1, "0.1%"),
        (0.004, 0, "0.4%"),
        (-0.004, 0, "-0.4%"),
        (0.004, 1, "0.4%"),
        (0.0000123, 1, "0.0012%"),
        (0.5, 0, "50%"),
        (1.0, 1, "100.0%"),
    ],
)
def test_a_share(value: float, digits: int, text: str) -> None:
    assert share(value, digits) == text


@given(st.just(0.0) | st.floats(min_value=1e-12, max_value=1.0), st.sampled_from([0, 1]))
def test_a_share_that_is_not_zero_is_not_printed_as_zero(value: float, digits: int) -> None:
    shown = float(share(value, digits).removesuffix("%")) / 100
    assert (shown == 0) == (value == 0)
    assert shown == pytest.approx(value, rel=0.06, abs=0.501 * 10 ** -(digits + 2))  # half of the last digit


def test_sizes() -> None:
    assert [bytes_text(n) for n in (800, 3 * 10**9, 2 * 10**12, 5 * 10**15)] == ["0.8 kB", "3.0 GB", "2.0 TB", "5.0 PB"]
