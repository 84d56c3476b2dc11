"""Runs sorted into arms: those of one recipe that differ in their seeds alone, under a name that tells arms apart."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from merpo.errors import MerpoError
from merpo.finished_run import REPORT, find_runs
from merpo.report import Report, load_report

__all__ = ["Arm", "read_arms", "read_recipes"]

SHARED = ("title", "description", "requires", "seed", "run")  # what may differ within an arm
_KEYS, _VALUE = 4, 40  # of a name: differing keys, and characters of a value
_ABSENT = "absent"


class Arm(NamedTuple):
    """The runs of one recipe, by seed."""

    label: str
    reports: tuple[Report, ...]
    paths: tuple[Path, ...]

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


def read_recipes(paths: Sequence[Path]) -> list[Arm]:
    """The same of runs on whatever tasks; only the seeds of one recipe must have their unseen tasks in common."""
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
    labels = _labels([runs[0][1] for runs in groups])
    return [
        Arm(label, tuple(report for _, report in runs), tuple(path for path, _ in runs))
        for label, runs in zip(labels, groups, strict=True)
    ]


def _identity(report: Report) -> str:
    """What the runs of an arm share."""
    shared = {key: value for key, value in report.recipe.items() if key not in SHARED}
    return json.dumps(shared or {"title": report.title}, sort_keys=True)


def _check(runs: Sequence[tuple[Path, Report]]) -> None:
    """All runs are on the same unseen tasks."""
    first, expected = runs[0]
    for path, report in runs[1:]:
        ours, theirs = ([(t.index, t.params) for t in one.tasks] for one in (report, expected))
        if ours != theirs:
            numbers = [[index for index, _ in tasks] for tasks in (ours, theirs)]
            what = f"the unseen tasks {numbers[0]}" if numbers[0] != numbers[1] else "other parameters of its tasks"
            raise MerpoError(
                f"{path}: has {what}, {first} has {numbers[1]}; only runs on the same tasks can be compared"
            )


def _labels(reports: Sequence[Report]) -> list[str]:
    """A name for each arm: its title where that tells, else what its recipe has other than its namesakes."""
    titles = [report.title for report in reports]
    labels = []
    for report in reports:
        namesakes = [other for other in reports if other.title == report.title]
        if len(namesakes) == 1:
            labels.append(report.title)
            continue
        own = _differences(report, namesakes)
        labels.append(own if len(set(titles)) == 1 else f"{report.title}: {own}")
    return [label if labels.count(label) == 1 else f"{label} #{i + 1}" for i, label in enumerate(labels)]


def _differences(report: Report, others: Sequence[Report]) -> str:
    """The values of the keys in which some of `others` differ, such as `alpha.initial=0.3`."""
    tables = [_flat({k: v for k, v in other.recipe.items() if k not in SHARED}) for other in others]
    keys = sorted({key for table in tables for key in table})
    differing = [key for key in keys if len({json.dumps(table.get(key, _ABSENT)) for table in tables}) > 1]
    everywhere = [key for key in differing if key.endswith("component") or all(key in table for table in tables)]
    differing = everywhere or differing  # the fields of another component differ anyway
    own = _flat(report.recipe)
    parts = [f"{key.removeprefix('method.')}={_short(own.get(key, _ABSENT))}" for key in differing[:_KEYS]]
    return ", ".join(parts) + (", …" if len(differing) > _KEYS else "")


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _VALUE else text[: _VALUE - 1] + "…"


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as dotted keys."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found
