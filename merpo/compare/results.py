"""Tables of results: a row per recipe, made from the folders of finished runs and kept in a JSON file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from merpo.artifacts.run_manifest import read_manifest
from merpo.compare.arms import Arm, read_arms
from merpo.compare.rows import Row
from merpo.errors import MerpoError
from merpo.report.report import Report, training_seconds
from merpo.report.seeds import data_sets
from merpo.support.read import FileKind

__all__ = ["Results", "networks", "read_results", "results_of", "steps"]

COUNTS = ("iterations", "inner_steps", "steps")  # fields that count gradient steps; they multiply
ADAPTATION_STEPS = "adaptation_steps"  # the field that counts those on an unseen task


class Results(BaseModel):
    """The rows of a table, in the order in which their recipes were added."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    rows: list[Row]

    def merged(self, new: Results) -> Results:
        """These rows with those of the same family and name replaced, then the other new ones."""
        return Results(rows=list({row.key: row for row in (*self.rows, *new.rows)}.values()))

    def comparable(self) -> list[list[Row]]:
        """Groups of two or more rows that were measured on the same tasks and adapted to the same data."""
        groups: dict[str, list[Row]] = {}
        for row in self.rows:
            groups.setdefault(json.dumps([row.family, row.data, row.tasks]), []).append(row)
        return [group for group in groups.values() if len(group) > 1]

    def to_json(self) -> str:
        """The text of the file that `read_results` reads."""
        return self.model_dump_json(indent=1) + "\n"


def read_results(path: Path) -> Results:
    """The rows of a JSON file; raises `ArtifactError` where it cannot be read or has another format."""
    return FileKind("a file of `merpo compare --json`").read_model(path, Results)


def results_of(paths: Sequence[Path], trust: bool = False) -> Results:
    """A row per recipe of all finished runs in `paths`, on whatever tasks; see `read_arms`."""
    return Results(rows=[_row(arm, trust) for arm in read_arms(paths, titled=True, trust=trust)])


def _row(arm: Arm, trust: bool) -> Row:
    first = arm.reports[0]
    unseen = sorted((d for d in first.datasets if d.split == "test"), key=lambda d: d.task)
    method = first.section("method")
    return Row(
        name=arm.label,
        whole=arm.full_label,
        family=str(first.section("tasks").get("component", "")),
        quality=", ".join(sorted({dataset.quality for dataset in unseen})),
        data=_digest(arm),
        seeds=list(arm.seeds),
        data_sets=data_sets(arm.reports) or 1,
        train_tasks=sum(dataset.split == "train" for dataset in first.datasets),
        tasks=[task.index for task in first.tasks],
        params=[task.params for task in first.tasks],
        transitions=[dataset.transitions for dataset in unseen],
        networks=dict(networks(method)),
        steps=dict(steps(method)),
        seconds=[_seconds(report, path, trust) for report, path in zip(arm.reports, arm.paths, strict=True)],
        versions=first.versions,
        references=[task.reference for task in first.tasks],
        behavior=first.returns("behavior") or [],
        behavior_mode=arm.returns("behavior_mode"),
        clone=arm.returns("clone"),
        clone_drawn=arm.returns("clone_drawn"),
        meta_policy=arm.returns("meta_policy"),
        adapted=arm.returns("adapted") or [],
        drawn=first.section("evaluate").get("policy") == "stochastic",
        on_the_way=_on_the_way(arm.reports),
    )


def networks(method: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Section or component -> its hidden widths, such as `7 of 3 × 64` for an ensemble of seven."""
    for name, section in _sections(method):
        if section.get("source", "random") != "random":
            continue  # the network comes from a file, which has its own widths
        for key in ("hidden", "policy_hidden"):
            widths = section.get(key)
            if isinstance(widths, list) and widths:
                members = f"{section['members']} of " if section.get("members") else ""
                shape = f"{len(widths)} × {widths[0]}" if len(set(widths)) == 1 else ", ".join(map(str, widths))
                yield "policy" if key == "policy_hidden" else name or "method", members + shape


def steps(method: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Section -> its gradient steps, such as `800 × 10`: iterations times steps of each."""
    for name, section in _sections(method):
        counts = [f"{section[key]:,}" for key in COUNTS if isinstance(section.get(key), int)]
        if counts:
            yield name or "method", " × ".join(counts)
        if isinstance(section.get(ADAPTATION_STEPS), int):
            yield f"{name}, unseen tasks", f"{section[ADAPTATION_STEPS]:,}"


def _sections(method: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield "", method
    yield from ((key, value) for key, value in method.items() if isinstance(value, Mapping))


def _seconds(report: Report, path: Path, trust: bool) -> float | None:
    found = training_seconds(report.timings, read_manifest(path, trust)["artifacts"])
    return None if found is None else round(found, 1)


def _on_the_way(reports: Sequence[Report]) -> dict[int, float]:
    """The mean return at every snapshot that all tasks and seeds have, rounded to the digits that are shown."""
    every = [task.snapshots for report in reports for task in report.tasks]
    steps = [step for step in sorted(every[0]) if all(step in one for one in every)]
    return {step: round(sum(one[step] for one in every) / len(every), 2) for step in steps}


def _digest(arm: Arm) -> str:
    """The digest of the unseen tasks' data; raises `MerpoError` where a seed was adapted to other data."""
    found = [
        " ".join(sorted(dataset.sha256[:12] for dataset in report.datasets if dataset.split == "test"))
        for report in arm.reports
    ]
    for path, digest in zip(arm.paths, found, strict=True):
        if digest != found[0]:
            raise MerpoError(f"{path}: was adapted to other data than {arm.paths[0]}, a seed of the same recipe")
    return found[0]
