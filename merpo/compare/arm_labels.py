"""What arms are called: no longer than tells them apart, and the whole of it where that is more."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from merpo.report.report import Report

__all__ = ["SHARED", "ArmName", "arm_names", "numbered", "shortened"]

SHARED = ("title", "description", "requires", "seed", "run")  # what may differ within an arm
_KEYS, _VALUE = 4, 40  # of a name: keys, and characters of a value
_ABSENT, METHOD = "absent", "method."
_Table = dict[str, Any]


class ArmName(NamedTuple):
    """A name that no other arm has; `whole` is everything that tells it from its namesakes, empty if the name is."""

    label: str
    whole: str = ""


def arm_names(reports: Sequence[Report], titled: bool = False) -> list[ArmName]:
    """A name for each arm: its title where that tells, else what its recipe has other than its namesakes.

    A title that all share is left out unless `titled`.
    """
    alone = not titled and len({report.title for report in reports}) == 1
    labels, wholes = [], []
    for report in reports:
        namesakes = [other for other in reports if other.title == report.title]
        own, whole = _own(report, namesakes) if len(namesakes) > 1 else ("", "")
        labels.append(": ".join(part for part in ("" if own and alone else report.title, own) if part))
        wholes.append(whole)
    return [ArmName(label, whole) for label, whole in zip(numbered(labels), wholes, strict=True)]


def numbered(labels: Sequence[str]) -> list[str]:
    """The same with a number behind those that are not the only one of their name."""
    found: list[str] = []
    for i, label in enumerate(labels, 1):
        name = label if labels.count(label) == 1 else f"{label} #{i}"
        while name != label and name in (*labels, *found):
            name += "'"
        found.append(name)
    return found


def shortened(value: str) -> str:
    """A value, or as much of it as a name has room for."""
    return value if len(value) <= _VALUE else value[: _VALUE - 1] + "…"


def _own(report: Report, namesakes: Sequence[Report]) -> tuple[str, str]:
    """What tells a report from its namesakes, such as `alpha.initial=0.3`, short and (if that is more) whole."""
    tables = [_flat({k: v for k, v in other.recipe.items() if k not in SHARED}) for other in namesakes]
    own, differing = _flat(report.recipe), _differing(tables)
    telling = _telling(tables, differing)
    label = ", ".join(f"{_key(key)}={shortened(_value(own, key))}" for key in telling[:_KEYS])
    label += ", …" if len(telling) > _KEYS else ""
    whole = ", ".join(f"{_key(key)}={_value(own, key)}" for key in differing)
    return label, "" if whole == label else whole


def _differing(tables: Sequence[_Table]) -> list[str]:
    """The keys in which some differ, but for fields of a component that others do not have: they differ anyway."""
    keys = sorted({key for table in tables for key in table})
    found = [key for key in keys if _count(tables, [key]) > 1]
    return [key for key in found if key.endswith("component") or all(key in table for table in tables)] or found


def _telling(tables: Sequence[_Table], differing: Sequence[str]) -> list[str]:
    """As few of the keys as tell all tables apart that can be told apart: those that tell most, and of the method."""
    chosen: list[str] = []
    most = _count(tables, differing)
    while _count(tables, chosen) < most:
        left = sorted(set(differing) - set(chosen), key=lambda key: (not key.startswith(METHOD), key))
        chosen.append(max(left, key=lambda key: _count(tables, [*chosen, key])))
    return [key for key in differing if key in chosen]


def _count(tables: Sequence[_Table], keys: Sequence[str]) -> int:
    """How many kinds of tables there are by these keys."""
    return len({json.dumps([table.get(key, _ABSENT) for key in keys]) for table in tables})


def _key(key: str) -> str:
    return key.removeprefix(METHOD)


def _value(table: _Table, key: str) -> str:
    value = table.get(key, _ABSENT)
    return value if isinstance(value, str) else json.dumps(value)


def _flat(table: Mapping[str, Any], prefix: str = "") -> _Table:
    """Nested tables as dotted keys."""
    found: _Table = {}
    for key, value in table.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found
