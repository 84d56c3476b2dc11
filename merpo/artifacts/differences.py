"""In what a run's folder differs from a run that is to write there: keys of the recipe, seed and data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from merpo.errors import MerpoError
from merpo.recipe.text import read

__all__ = ["differences", "recipe_there"]

MOST = 6  # that are named
ABSENT = "absent"
WIDTH = 60  # characters of a value


def differences(old: Mapping[str, Any], new: Mapping[str, Any], ignored: tuple[str, ...] = ()) -> str:
    """`method.rac.discount (0.9 there, 0.99 here)` of each key in which two trees of tables differ.

    Top-level tables in `ignored` may differ. Empty where nothing does.
    """
    there, here = (dict(_flat(tree, ignored)) for tree in (old, new))
    keys = [key for key in dict.fromkeys((*there, *here)) if there.get(key, ABSENT) != here.get(key, ABSENT)]
    named = [f"{key} ({_text(there, key)} there, {_text(here, key)} here)" for key in keys[:MOST]]
    return ", ".join(named) + (f" and {len(keys) - MOST} more" if len(keys) > MOST else "")


def recipe_there(path: Path) -> dict[str, Any]:
    """The tables of the recipe that a run left in its folder; empty if the file is missing or damaged."""
    try:
        return read(path)
    except MerpoError:
        return {}


def _flat(tree: Mapping[str, Any], ignored: tuple[str, ...] = (), prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if not prefix and key in ignored:
            continue
        if isinstance(value, Mapping):
            yield from _flat(value, prefix=f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", list(value) if isinstance(value, tuple) else value


def _text(values: Mapping[str, Any], key: str) -> str:
    if key not in values:
        return ABSENT
    text = json.dumps(values[key], ensure_ascii=False)
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"
