"""Options of `merpo data import` as fields of `Columns`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from merpo.errors import RecipeError

__all__ = ["import_options"]


def import_options(
    action_low: str | None,
    action_high: str | None,
    clip_actions: bool,
    gaps: str | None,
    subtract: Sequence[str] | None,
    ignore: Sequence[str] | None,
    flatten: bool,
    missing: str | None,
) -> dict[str, Any]:
    """The fields that were given; raises `RecipeError` for text that is not a number."""
    given: dict[str, Any] = {
        "action_low": None if action_low is None else _numbers("--action-low", action_low),
        "action_high": None if action_high is None else _numbers("--action-high", action_high),
        "clip_actions": clip_actions or None,
        "gaps": gaps,
        "subtract": dict(map(_offset, subtract)) if subtract else None,
        "ignore": tuple(ignore) if ignore else None,
        "flatten": flatten or None,
        "missing": None if missing is None else _numbers("--missing", missing),
    }
    return {key: value for key, value in given.items() if value is not None}


def _numbers(option: str, text: str) -> tuple[float, ...]:
    """Numbers separated by commas."""
    return tuple(_number(option, part) for part in text.split(","))


def _offset(text: str) -> tuple[str, float]:
    """A column and the number to subtract from it, `COLUMN=NUMBER`."""
    name, equals, number = text.rpartition("=")
    if not equals or not name:
        raise RecipeError(f"--subtract: got {text[:80]!r}, expected COLUMN=NUMBER, such as clock=1700000000")
    return name, _number("--subtract", number)


def _number(option: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise RecipeError(f"{option}: got {text[:40]!r}, expected a number") from None
