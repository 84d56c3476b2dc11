"""From the folders of finished runs to the rows of `merpo table`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from merpo.artifacts.run_folder import read_manifest
from merpo.compare.arms import Arm, read_recipes
from merpo.compare.method_sizes import networks, steps
from merpo.compare.suite_row import Row
from merpo.compare.table import Suites
from merpo.errors import MerpoError
from merpo.report.report import Report, training_seconds

__all__ = ["suites_of"]


def suites_of(paths: Sequence[Path]) -> Suites:
    """The rows of all finished runs that `paths` are or hold. Raises `MerpoError` for runs that measured nothing."""
    return Suites(rows=[_row(arm) for arm in read_recipes(paths, titled=True)])


def _row(arm: Arm) -> Row:
    first = arm.reports[0]
    unseen = sorted((d for d in first.datasets if d.split == "test"), key=lambda d: d.task)
    method = _table(first.recipe.get("method"))
    return Row(
        name=arm.label,
        whole=arm.whole,
        family=str(_table(first.recipe.get("tasks")).get("component", "")),
        quality=", ".join(sorted({dataset.quality for dataset in unseen})),
        data=_same([_digest(report) for report in arm.reports], arm),
        seeds=list(arm.seeds),
        train_tasks=sum(dataset.split == "train" for dataset in first.datasets),
        tasks=[task.index for task in first.tasks],
        params=[task.params for task in first.tasks],
        transitions=[dataset.transitions for dataset in unseen],
        networks=dict(networks(method)),
        steps=dict(steps(method)),
        seconds=[_seconds(report, path) for report, path in zip(arm.reports, arm.paths, strict=True)],
        versions=first.versions,
        references=[task.reference for task in first.tasks],
        behavior=[task.returns["behavior"] for task in first.tasks],
        behavior_mode=_if_measured(arm.reports, "behavior_mode"),
        meta_policy=_if_measured(arm.reports, "meta_policy"),
        adapted=[_returns(report, "adapted") for report in arm.reports],
        on_the_way=_on_the_way(arm.reports),
    )


def _if_measured(reports: Sequence[Report], policy: str) -> list[list[float]] | None:
    """Returns of a policy that not all runs need have."""
    rows = [report.returns(policy) for report in reports]
    found = [row for row in rows if row is not None]
    return found if len(found) == len(rows) else None


def _returns(report: Report, policy: str) -> list[float]:
    found = report.returns(policy)
    if found is None:
        raise MerpoError(
            f"{report.title}, seed {report.seed}: has no returns of the {policy} policy; expected runs that were "
            "measured in environments"
        )
    return found


def _seconds(report: Report, path: Path) -> float | None:
    found = training_seconds(report.timings, read_manifest(path)["artifacts"])
    return None if found is None else round(found, 1)


def _on_the_way(reports: Sequence[Report]) -> dict[int, float]:
    """The mean return at every snapshot that all tasks and seeds have, rounded as it is shown."""
    every = [task.snapshots for report in reports for task in report.tasks]
    steps = [step for step in sorted(every[0]) if all(step in one for one in every)]
    return {step: round(sum(one[step] for one in every) / len(every), 2) for step in steps}


def _digest(report: Report) -> str:
    return " ".join(sorted(dataset.sha256[:12] for dataset in report.datasets if dataset.split == "test"))


def _same(digests: Sequence[str], arm: Arm) -> str:
    """The digest that all seeds share; raises `MerpoError` where one read other data."""
    for path, digest in zip(arm.paths, digests, strict=True):
        if digest != digests[0]:
            raise MerpoError(f"{path}: was adapted to other data than {arm.paths[0]}, a seed of the same recipe")
    return digests[0]


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
