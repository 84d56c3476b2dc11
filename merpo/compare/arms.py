"""Runs grouped by recipe into arms, and the labels of the arms."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from merpo.artifacts.run_folder import REPORT, find_runs
from merpo.errors import MerpoError
from merpo.report.report import Report, load_report

__all__ = ["SHARED", "Arm", "ArmName", "arm_names", "numbered", "read_arms", "read_recipes", "shortened"]


class Arm(NamedTuple):
    """The runs of one recipe, by seed."""

    label: str
    reports: tuple[Report, ...]
    paths: tuple[Path, ...]
    whole: str = ""  # what the label stands for, where it does not say all

    @property
    def seeds(self) -> tuple[int, ...]:
        """The runs' seeds."""
        return tuple(report.seed for report in self.reports)


def read_arms(paths: Sequence[Path]) -> list[Arm]:
    """The arms of all finished runs that `paths` are or hold, in the order in which they come.

    Raises `MerpoError` for runs on other unseen tasks, and for two runs of one recipe and seed.
    """
    arms = read_recipes(paths)
    _check([run for arm in arms for run in zip(arm.paths, arm.reports, strict=True)])
    return arms


def read_recipes(paths: Sequence[Path], titled: bool = False) -> list[Arm]:
    """The same of runs on whatever tasks; only the seeds of one recipe must have their unseen tasks in common.

    With `titled`, every name begins with the recipe's title, even where all have the same.
    """
    found: dict[str, list[tuple[Path, Report]]] = {}
    for path in find_runs(paths):
        report = load_report(path / REPORT)
        found.setdefault(_identity(report), []).append((path, report))
    groups = [sorted(runs, key=lambda run: run[1].seed) for runs in found.values()]
    for runs in groups:
        _check(runs)
        for (path, report), (other, following) in pairwise(runs):
            if report.seed == following.seed:
                raise MerpoError(f"{other}: is of the same recipe and seed {report.seed} as {path}; give one of them")
    names = arm_names([runs[0][1] for runs in groups], titled)
    return [
        Arm(name.label, tuple(report for _, report in runs), tuple(path for path, _ in runs), name.whole)
        for name, runs in zip(names, groups, strict=True)
    ]


def _identity(report: Report) -> str:
    """What the runs of an arm share."""
    shared = {key: value for key, value in report.recipe.items() if key not in SHARED}
    return json.dumps(shared or {"title": report.title}, sort_keys=True)


def _check(runs: Sequence[tuple[Path, Report]]) -> None:
    """All runs are on the same unseen tasks, in the same environments."""
    first, expected = runs[0]
    for path, report in runs[1:]:
        if (key := _other(_environments(report), _environments(expected))) is not None:
            ours, theirs = (_environments(one).get(key, "not set") for one in (report, expected))
            raise MerpoError(
                f"{path}: tasks.{key} is {ours!r:.40}, that of {first} is {theirs!r:.40}; only runs on the same tasks "
                "can be compared"
            )
        ours, theirs = ([(t.index, t.params) for t in one.tasks] for one in (report, expected))
        if ours != theirs:
            numbers = [[index for index, _ in tasks] for tasks in (ours, theirs)]
            what = f"the unseen tasks {numbers[0]}" if numbers[0] != numbers[1] else "other parameters of its tasks"
            raise MerpoError(
                f"{path}: has {what}, {first} has {numbers[1]}; only runs on the same tasks can be compared"
            )


def _environments(report: Report) -> dict[str, Any]:
    """What the environments are beside their tasks' parameters; the seed of the draw is told by these."""
    return {key: value for key, value in report.section("tasks").items() if key != "seed"}


def _other(ours: dict[str, Any], theirs: dict[str, Any]) -> str | None:
    """The first key in which two tables differ."""
    return next((key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)), None)


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
