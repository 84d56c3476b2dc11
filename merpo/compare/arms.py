"""Finished runs grouped into arms (the seeds of one recipe), and short unique labels for the arms."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from merpo.artifacts.finished_run import find_runs
from merpo.errors import MerpoError
from merpo.report.report import Report, report_of

__all__ = ["SHARED", "Arm", "numbered", "read_arms", "require_same_tasks", "shortened"]

SHARED = ("title", "description", "requires", "seed", "run")  # recipe sections that may differ within an arm
MOST_KEYS, MOST_CHARACTERS = 4, 40  # of a label: keys, and characters of a value
ABSENT, METHOD = "absent", "method."

_Runs: TypeAlias = Sequence[tuple[Path, Report]]
_Table: TypeAlias = dict[str, Any]


class Arm(NamedTuple):
    """The runs of one recipe, in the order of their seeds."""

    label: str
    reports: tuple[Report, ...]
    paths: tuple[Path, ...]
    full_label: str = ""  # every value in which the recipe differs, where `label` leaves some out

    @property
    def seeds(self) -> tuple[int, ...]:
        """The runs' seeds."""
        return tuple(report.seed for report in self.reports)

    def returns(self, policy: str) -> list[list[float]] | None:
        """The returns [seed][task] of `policy`, a key of `merpo.report.summary.POLICIES`; None if one is missing."""
        rows = [report.returns(policy) for report in self.reports]
        known = [row for row in rows if row is not None]
        return known if len(known) == len(rows) else None


def read_arms(paths: Sequence[Path], titled: bool = False, trust: bool = False) -> list[Arm]:
    """The arms of all finished runs in `paths`, which are runs or folders that hold some.

    With `titled`, every label begins with the recipe's title, even where all titles are equal; with `trust`, reports
    are read although they are not those of the runs' manifests. Raises `MerpoError` for
    runs that were not measured in environments, for seeds of one recipe on different unseen tasks, and for two runs of
    one recipe and seed.
    """
    found: dict[str, list[tuple[Path, Report]]] = {}
    for path in find_runs(paths):
        report = report_of(path, trust)
        if report.returns("adapted") is None:
            raise MerpoError(
                f"{path}: the adapted policies were not measured, as there is no environment; "
                "expected runs that were measured in environments"
            )
        found.setdefault(_identity(report), []).append((path, report))
    groups = [sorted(runs, key=lambda run: run[1].seed) for runs in found.values()]
    for runs in groups:
        _require_same_tasks(runs)
        for (path, report), (other, following) in pairwise(runs):
            if report.seed == following.seed:
                raise MerpoError(f"{other}: is of the same recipe and seed {report.seed} as {path}; give one of them")
    labels = _labels([runs[0][1] for runs in groups], titled)
    return [
        Arm(label, tuple(report for _, report in runs), tuple(path for path, _ in runs), full)
        for (label, full), runs in zip(labels, groups, strict=True)
    ]


def require_same_tasks(arms: Sequence[Arm]) -> None:
    """Raise `MerpoError` where an arm was measured on other unseen tasks than the first."""
    _require_same_tasks([run for arm in arms for run in zip(arm.paths, arm.reports, strict=True)])


def _identity(report: Report) -> str:
    """The part of the recipe that all runs of an arm have in common."""
    common = {key: value for key, value in report.recipe.items() if key not in SHARED}
    return json.dumps(common or {"title": report.title}, sort_keys=True)


def _require_same_tasks(runs: _Runs) -> None:
    """Raise where runs differ in their unseen tasks or in the settings of the environments."""
    first, expected = runs[0]
    for path, report in runs[1:]:
        if (key := _first_difference(_environments(report), _environments(expected))) is not None:
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


def _environments(report: Report) -> _Table:
    """The settings of the environments; the seed by which tasks were drawn shows in the tasks' parameters instead."""
    return {key: value for key, value in report.section("tasks").items() if key != "seed"}


def _first_difference(ours: _Table, theirs: _Table) -> str | None:
    """The first key in which two tables differ."""
    return next((key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)), None)


def _labels(reports: Sequence[Report], titled: bool) -> list[tuple[str, str]]:
    """A short unique label of each arm, and the full one where it was shortened.

    A label is the title where only one arm has it, else the values in which the recipe differs from the others of the
    same title; a title that all arms have is left out unless `titled`.
    """
    untitled = not titled and len({report.title for report in reports}) == 1
    short, full = [], []
    for report in reports:
        group = [other for other in reports if other.title == report.title]
        own, all_of_it = _own_values(report, group) if len(group) > 1 else ("", "")
        short.append(": ".join(part for part in ("" if own and untitled else report.title, own) if part))
        full.append(all_of_it)
    return list(zip(numbered(short), full, strict=True))


def numbered(labels: Sequence[str]) -> list[str]:
    """The labels, made unique by a number behind each that occurs more than once."""
    found: list[str] = []
    for i, label in enumerate(labels, 1):
        name = label if labels.count(label) == 1 else f"{label} #{i}"
        while name != label and name in (*labels, *found):
            name += "'"
        found.append(name)
    return found


def shortened(value: str) -> str:
    """A value, cut to the length that a label has room for."""
    return value if len(value) <= MOST_CHARACTERS else value[: MOST_CHARACTERS - 1] + "…"


def _own_values(report: Report, group: Sequence[Report]) -> tuple[str, str]:
    """The values that distinguish a report within `group`, such as `alpha.initial=0.3`; and all differing ones."""
    tables = [_flat({k: v for k, v in other.recipe.items() if k not in SHARED}) for other in group]
    own, differing = _flat(report.recipe), _differing(tables)
    chosen = _distinguishing(tables, differing)
    label = ", ".join(f"{_key(key)}={shortened(_value(own, key))}" for key in chosen[:MOST_KEYS])
    label += ", …" if len(chosen) > MOST_KEYS else ""
    full = ", ".join(f"{_key(key)}={_value(own, key)}" for key in differing)
    return label, "" if full == label else full


def _differing(tables: Sequence[_Table]) -> list[str]:
    """The keys whose values differ; without fields of components that only some have, unless nothing else differs."""
    keys = sorted({key for table in tables for key in table})
    found = [key for key in keys if _distinct(tables, [key]) > 1]
    return [key for key in found if key.endswith("component") or all(key in table for table in tables)] or found


def _distinguishing(tables: Sequence[_Table], differing: Sequence[str]) -> list[str]:
    """A small set of keys that distinguishes as many tables as all keys do: greedy, keys of the method first."""
    chosen: list[str] = []
    most = _distinct(tables, differing)
    while _distinct(tables, chosen) < most:
        left = sorted(set(differing) - set(chosen), key=lambda key: (not key.startswith(METHOD), key))
        chosen.append(max(left, key=lambda key: _distinct(tables, [*chosen, key])))
    return [key for key in differing if key in chosen]


def _distinct(tables: Sequence[_Table], keys: Sequence[str]) -> int:
    """The number of distinct tables by these keys."""
    return len({json.dumps([table.get(key, ABSENT) for key in keys]) for table in tables})


def _key(key: str) -> str:
    return key.removeprefix(METHOD)


def _value(table: _Table, key: str) -> str:
    value = table.get(key, ABSENT)
    return value if isinstance(value, str) else json.dumps(value)


def _flat(table: Mapping[str, Any], prefix: str = "") -> _Table:
    """Nested tables as dotted keys."""
    found: _Table = {}
    for key, value in table.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found
