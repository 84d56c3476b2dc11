"""`merpo table`: the runs of any recipes as plain numbers, with their sizes and times, one row per recipe."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError, computed_field

from merpo.aggregates import Estimate, mean_difference, mean_score
from merpo.arms import Arm, read_recipes
from merpo.errors import ArtifactError, MerpoError
from merpo.finished_run import read_manifest
from merpo.reference_scores import ReferenceScores
from merpo.report import Report
from merpo.stage_times import training_seconds
from merpo.statistics import Interval, paired_difference

__all__ = ["Suites", "TaskRow", "merged", "read_suites", "suites_of"]

Returns: TypeAlias = list[list[float]]  # [seed][task]
COUNTS = ("iterations", "inner_steps", "steps", "adaptation_steps")  # knobs that count gradient steps, as multiplied


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class TaskRow(_Model):
    """One unseen task over the seeds of a recipe."""

    index: int
    params: dict[str, JsonValue] = {}
    behavior: float
    adapted: Estimate
    difference: Estimate  # adapted minus behaviour
    normalized: Estimate | None = None  # score of the adapted policies; None without reference scores


class Row(_Model):
    """One recipe: what was run, how large, how long, and what its policies earned. Returns are [seed][task]."""

    name: str
    whole: str = ""  # what the name stands for, where it does not say all
    family: str
    quality: str
    data: str  # digest of the unseen tasks' data: rows with the same one can be compared
    seeds: list[int]
    train_tasks: int
    tasks: list[int]  # the unseen tasks' numbers
    params: list[dict[str, JsonValue]]
    transitions: list[int]  # rows of each unseen task's data
    networks: dict[str, str]
    steps: dict[str, str]
    seconds: list[float | None]  # of training and adaptation, per seed; None where a reused stage has no stored time
    versions: dict[str, str] = {}
    references: list[ReferenceScores | None] = []  # what 0 and 100 are on each task, where its data says so
    behavior: list[float]
    meta_policy: Returns | None = None
    adapted: Returns
    on_the_way: dict[int, float] = {}  # steps of adaptation -> mean return after so many

    @computed_field  # type: ignore[prop-decorator]
    @cached_property
    def mean_adapted(self) -> Estimate:
        """Mean return of the adapted policies."""
        return mean_score(self.adapted)

    @computed_field  # type: ignore[prop-decorator]
    @cached_property
    def mean_meta_policy(self) -> Estimate | None:
        """Mean return of the meta-policy as it is."""
        return None if self.meta_policy is None else mean_score(self.meta_policy)

    @computed_field  # type: ignore[prop-decorator]
    @cached_property
    def mean_normalized(self) -> Estimate | None:
        """Mean normalised score of the adapted policies; None unless every task has reference scores."""
        columns = [self._scores(i) for i in range(len(self.tasks))]
        known = [column for column in columns if column is not None]
        return mean_score(list(zip(*known, strict=True))) if len(known) == len(columns) else None

    @computed_field  # type: ignore[prop-decorator]
    @cached_property
    def difference(self) -> Estimate:
        """Adapted minus behaviour, with an interval that speaks about new seeds on these tasks."""
        return mean_score(self._differences())

    @computed_field  # type: ignore[prop-decorator]
    @cached_property
    def difference_on_new_tasks(self) -> Interval | None:
        """The same with an interval that speaks about new tasks, too; None with a single task."""
        if len(self.tasks) == 1:
            return None
        return paired_difference(self.adapted, [self.behavior] * len(self.seeds))

    @computed_field  # type: ignore[prop-decorator]
    @cached_property
    def worse(self) -> int:
        """On how many pairs of seed and task the adapted policy earns less than the behaviour policy."""
        return sum(value < 0 for row in self._differences() for value in row)

    def task_rows(self) -> Iterator[TaskRow]:
        """The unseen tasks one by one."""
        differences = self._differences()
        for i, (index, params, behavior) in enumerate(zip(self.tasks, self.params, self.behavior, strict=True)):
            adapted, difference = (mean_score([[row[i]] for row in table]) for table in (self.adapted, differences))
            scores = self._scores(i)
            yield TaskRow(
                index=index,
                params=params,
                behavior=behavior,
                adapted=adapted,
                difference=difference,
                normalized=None if scores is None else mean_score([[score] for score in scores]),
            )

    def minus(self, other: Row) -> Estimate:
        """The difference of mean returns on the same tasks; the seeds of the two are drawn anew independently."""
        return mean_difference(self.adapted, other.adapted)

    def _scores(self, i: int) -> list[float] | None:
        """The normalised scores of the adapted policies on the i-th task, one per seed."""
        reference = self.references[i] if self.references else None
        return None if reference is None else [reference.normalized(row[i]) for row in self.adapted]

    def _differences(self) -> Returns:
        return [[a - b for a, b in zip(row, self.behavior, strict=True)] for row in self.adapted]


class Suites(_Model):
    """The rows of a table, in the order in which their recipes came."""

    rows: list[Row]

    def comparable(self) -> list[list[Row]]:
        """Rows in groups that were measured on the same tasks and adapted to the same data, two or more."""
        groups: dict[str, list[Row]] = {}
        for row in self.rows:
            groups.setdefault(json.dumps([row.family, row.data, row.tasks]), []).append(row)
        return [group for group in groups.values() if len(group) > 1]

    def to_json(self) -> str:
        """The text of the file; what `read_suites` reads."""
        return self.model_dump_json(indent=1) + "\n"


def suites_of(paths: Sequence[Path]) -> Suites:
    """The rows of all finished runs that `paths` are or hold. Raises `MerpoError` for runs that measured nothing."""
    return Suites(rows=[_row(arm) for arm in read_recipes(paths)])


def merged(old: Suites, new: Suites) -> Suites:
    """The old rows with those of the same name replaced, then the rest of the new ones."""
    replaced = {row.name: row for row in (*old.rows, *new.rows)}
    return Suites(rows=list(replaced.values()))


def read_suites(path: Path) -> Suites:
    """A table from its JSON file; `ArtifactError` where it cannot be read or is something else."""
    try:
        return Suites.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ArtifactError(f"{path}: cannot read this table ({error.strerror or error})") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ArtifactError(f"{path}: {where}: {first['msg']} (expected the JSON of `merpo table`)") from None


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
        networks=dict(_networks(method)),
        steps=dict(_steps(method)),
        seconds=[_seconds(report, path) for report, path in zip(arm.reports, arm.paths, strict=True)],
        versions=first.versions,
        references=[task.reference for task in first.tasks],
        behavior=[task.behavior for task in first.tasks],
        meta_policy=None if first.returns("meta_policy") is None else [_returns(r, "meta_policy") for r in arm.reports],
        adapted=[_returns(report, "adapted") for report in arm.reports],
        on_the_way=_on_the_way(arm.reports),
    )


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


def _networks(method: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Section or component -> its hidden widths, such as `7 of 3 × 64` of an ensemble."""
    for place, section in _sections(method):
        for key in ("hidden", "policy_hidden"):
            widths = section.get(key)
            if isinstance(widths, list) and widths:
                members = section.get("members")
                yield _place(place, key), (f"{members} of " if members else "") + _shape(widths)


def _steps(method: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Section -> its gradient steps, such as `800 × 10`: iterations times steps of each."""
    for place, section in _sections(method):
        counts = [f"{section[key]:,}" for key in COUNTS[:3] if isinstance(section.get(key), int)]
        if counts:
            yield place or "method", " × ".join(counts)
        if isinstance(section.get(COUNTS[3]), int):
            yield f"{place}, unseen tasks", f"{section[COUNTS[3]]:,}"


def _sections(method: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield "", method
    yield from ((key, value) for key, value in method.items() if isinstance(value, Mapping))


def _place(section: str, key: str) -> str:
    return "policy" if key == "policy_hidden" else section or "method"


def _shape(widths: Sequence[int]) -> str:
    return f"{len(widths)} × {widths[0]}" if len(set(widths)) == 1 else ", ".join(map(str, widths))


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
