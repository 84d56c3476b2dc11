"""Runs sorted into arms: those of one recipe that differ in their seeds alone, under a name that tells arms apart."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from merpo.artifacts.finished_run import REPORT, find_runs
from merpo.compare.arm_labels import SHARED, arm_names
from merpo.errors import MerpoError
from merpo.report.report import Report, load_report

__all__ = ["Arm", "read_arms", "read_recipes"]


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
