"""Numbers, durations and sizes as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from merpo.support.statistics.interval import Interval

__all__ = ["bytes_text", "duration", "interval_text", "number", "share"]

SMALL = 0.01  # below which two decimals have less than one digit
UNITS = ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def number(value: float | None) -> str:
    """Two decimals below a thousand, none above, two digits of what two decimals would hide; a hyphen for None."""
    if value is None:
        return "-"
    if 0 < abs(value) < SMALL:
        return f"{value:.2g}"
    return f"{value:,.2f}" if abs(value) < 1000 else f"{value:,.0f}"


def share(value: float, digits: int = 0) -> str:
    """A share in percent with `digits` decimals, two digits where these would hide that it is not 0."""
    text = f"{value:.{digits}%}"
    return text if value == 0 or text.strip("-0.%") else f"{100 * value:.2g}%"


def interval_text(interval: Interval) -> str:
    """`313.00 [290.12, 335.70]`, or the number alone where there is no interval."""
    if interval.low is None:
        return number(interval.mean)
    return f"{number(interval.mean)} [{number(interval.low)}, {number(interval.high)}]"


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 05 s` or `1 h 02 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def bytes_text(count: int) -> str:
    """`3.4 GB`, `12.0 MB`, `0.8 kB`."""
    size, unit = next(((size, unit) for size, unit in UNITS if count >= size), UNITS[-1])
    return f"{count / size:.1f} {unit}"
