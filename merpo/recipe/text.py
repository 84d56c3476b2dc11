"""Recipes as text: TOML read within limits, and overrides from the command line. Nothing here knows what keys mean."""

from __future__ import annotations

import codecs
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from merpo.components.describe import value_text
from merpo.errors import RecipeError, nearest

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
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises RecipeError for a file that is missing, too large, not UTF-8 or not TOML."""
    place = str(path)
    try:
        if path.exists() and not path.is_file():
            raise RecipeError(f"{place}: not a file, expected a recipe in TOML")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise RecipeError(f"{place}: no such file{_nearest_file(path)}") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        raise RecipeError(f"{place}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > MAX_BYTES:
        raise RecipeError(f"{place}: larger than {MAX_BYTES // 1024} kB, expected a recipe")
    if data.startswith(_UTF16):
        raise RecipeError(f"{place}: encoded as UTF-16, expected UTF-8; save it as UTF-8")
    if data.startswith(codecs.BOM_UTF8):
        raise RecipeError(f"{place}: begins with a byte-order mark, expected plain UTF-8; save it without BOM")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise RecipeError(f"{place}: not UTF-8 at line {line} (byte {error.start}), expected UTF-8") from None
    return parse(text, place)


def parse(text: str, place: str) -> dict[str, Any]:
    """The tables of a TOML text; `place` begins every message."""
    if _depth(text) > MAX_DEPTH:
        raise RecipeError(f"{place}: nested deeper than {MAX_DEPTH} levels, expected a recipe")
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError, OverflowError, TypeError, KeyError, IndexError) as error:
        # TOMLDecodeError is a ValueError, as is an integer of thousands of digits
        reason = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
        raise RecipeError(f"{place}: not valid TOML: {reason}") from None


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


def _nearest_file(path: Path) -> str:
    try:
        others = [other.name for other in path.parent.glob("*.toml")]
    except (OSError, ValueError):
        return ""
    return nearest(path.name, others)
