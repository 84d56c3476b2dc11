"""Overrides that shrink a recipe under recipes/ to a run of seconds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from merpo.recipe.tiny import TINY

__all__ = ["tiny_overrides"]

NAMES = ("title", "component")  # unchanged keys
MORE = {"method.adaptation.critic_lead": 1, "method.adaptation.rho_batch": 16}


def tiny_overrides(**changes: Any) -> list[str]:
    """`KEY=VALUE` for `--set`, from the tiny recipe of the tests; `changes` are written with `__` for a dot."""
    values = {**dict(_leaves(TINY, ())), **MORE, **{key.replace("__", "."): value for key, value in changes.items()}}
    return [f"{key}={json.dumps(value)}" for key, value in values.items()]


def _leaves(table: Mapping[str, Any], place: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*place, key))
        elif key not in NAMES:
            yield ".".join((*place, key)), value
