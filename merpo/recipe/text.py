"""Recipes as text: TOML read within limits, and overrides from the command line. Nothing here knows what keys mean."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from merpo.components.describe import value_text
from merpo.errors import RecipeError
from merpo.support.read import FileKind

__all__ = ["MAX_BYTES", "apply_overrides", "parse", "read"]

MAX_BYTES = 256 * 1024
MAX_DEPTH = 16  # of brackets, and of dots in one key; tomllib needs seconds for a key with thousands

_TOKEN = re.compile(
    r"""\"{3}(?:\\.|[^\\])*?(?:\"{3}|\Z)   # strings and comments are skipped; \Z keeps the scan linear
      | '{3}.*?(?:'{3}|\Z)
      | "(?:\\.|[^"\\\n])*"
      | '[^'\n]*'
      | \#[^\n]*
      | (?P<open>[\[{]) | (?P<close>[\]}]) | (?P<dot>\.) | (?P<end>[=,\n])""",
    re.VERBOSE | re.DOTALL,
)
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_KIND = FileKind("a recipe in TOML", RecipeError, limit=MAX_BYTES)


def read(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises RecipeError for a file that is missing, too large, not UTF-8 or not TOML."""
    return parse(_KIND.read_text(path), path)


def parse(text: str, place: object) -> dict[str, Any]:
    """The tables of a TOML text; `place` begins every message."""
    if _depth(text) > MAX_DEPTH:
        _KIND.refuse(place, f"nested deeper than {MAX_DEPTH} levels")
    return _KIND.parse_toml(text, place)


def apply_overrides(tables: dict[str, Any], overrides: Sequence[str]) -> None:
    """Set `a.b=value` in `tables`. A value is TOML; what is not, and looks like words, is taken as text."""
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


def _depth(text: str) -> int:
    """The deepest nesting of brackets, or the longest dotted key, whichever is more."""
    deepest = depth = dots = 0
    for token in _TOKEN.finditer(text):
        kind = token.lastgroup
        if kind == "dot":
            dots += 1
        elif kind is not None:
            dots = 0
            depth = max(0, depth + {"open": 1, "close": -1}.get(kind, 0))
        deepest = max(deepest, depth, dots)
    return deepest
