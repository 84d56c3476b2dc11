"""Recipes as TOML: reading within limits, and overrides from the command line, whatever the keys mean."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from merpo.components.describe import value_text
from merpo.errors import RecipeError
from merpo.support.read import FileKind

__all__ = ["MAX_BYTES", "apply_overrides", "parse", "read", "recipe_text"]

MAX_BYTES = 256 * 1024
MAX_DEPTH = 16  # of tables and arrays
MAX_DOTS = 32  # in one key: tomllib takes minutes and gigabytes for a key of 256 kB

_BETWEEN_KEYS = re.compile(r"[=,\n\[\]{}]")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_KIND = FileKind("a recipe in TOML", RecipeError, limit=MAX_BYTES)


def read(path: Path) -> dict[str, Any]:
    """Read the tables of a recipe. Raises RecipeError for a file that is missing, too large, not UTF-8 or not TOML."""
    return parse(recipe_text(path), path)


def recipe_text(path: Path) -> str:
    """The text of a recipe's file, not yet parsed."""
    return _KIND.read_text(path)


def parse(text: str, place: object) -> dict[str, Any]:
    """The tables of a TOML text; `place` begins every message."""
    if any(piece.count(".") > MAX_DOTS for piece in _BETWEEN_KEYS.split(text)):
        _KIND.refuse(place, f"more than {MAX_DOTS} dots in a key")
    tables = _KIND.parse_toml(text, place)
    if _is_deeper(tables, MAX_DEPTH):
        _KIND.refuse(place, f"nested deeper than {MAX_DEPTH} levels")
    return tables


def apply_overrides(tables: dict[str, Any], overrides: Sequence[str]) -> None:
    """Set `a.b=value` in `tables`. A value is TOML; printable text that is not valid TOML is taken as text."""
    for override in overrides:
        key, equals, value = override.partition("=")
        place = f"--set {override[:80]!r}"
        parts = [part.strip() for part in key.split(".")]
        if not equals or not all(_BARE_KEY.fullmatch(part) for part in parts):
            raise RecipeError(f"{place}: expected KEY=VALUE such as method.alpha.initial=0.3")
        if len(parts) > MAX_DEPTH or len(value) > MAX_BYTES:
            raise RecipeError(f"{place}: nested deeper than {MAX_DEPTH} levels or too long")
        _set(tables, parts, _value(value.strip(), place), place)


def _set(tables: dict[str, Any], parts: Sequence[str], value: Any, place: str) -> None:
    *parents, last = parts
    table = tables
    for depth, part in enumerate(parents):
        below = table.setdefault(part, {})
        if isinstance(below, str):  # `alpha = "fixed"` is short for a section
            below = table[part] = {"component": below}
        if not isinstance(below, dict):
            where = ".".join(parts[: depth + 1])
            raise RecipeError(f"{place}: {where} is {value_text(below)}, expected a section")
        table = below
    table[last] = value


def _value(text: str, place: str) -> Any:
    try:
        parsed = parse(f"value = {text}", place)
    except RecipeError:
        if not text or text[0] in "[{\"'" or not text.isprintable():
            raise
        return text
    if list(parsed) != ["value"]:
        raise RecipeError(f"{place}: expected one value")
    return parsed["value"]


def _is_deeper(tables: dict[str, Any], depth: int) -> bool:
    """Whether tables and arrays nest more than `depth` deep."""
    level: list[Any] = [tables]
    for _ in range(depth + 1):
        items = (item for value in level for item in (value.values() if isinstance(value, dict) else value))
        level = [item for item in items if isinstance(item, dict | list)]
    return bool(level)
