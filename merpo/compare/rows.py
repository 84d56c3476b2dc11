"""One row of `merpo table`: the runs of one recipe as plain numbers, and what they come to."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Self, TypeAlias

from pydantic import BaseModel, ConfigDict, JsonValue, computed_field, model_validator

from merpo.compare.stored import StoredInterval
from merpo.data.reference_scores import ReferenceScores
from merpo.support.statistics import Interval, mean_difference, mean_score, paired_difference

__all__ = ["Row", "TaskRow"]

Returns: TypeAlias = list[list[float]]  # [seed][task]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class TaskRow(_Model):
    """One unseen task over the seeds of a recipe."""

    index: int
    params: dict[str, JsonValue] = {}
    behavior: float
    adapted: StoredInterval
    difference: StoredInterval  # adapted minus behaviour
    normalized: StoredInterval | None = None  # score of the adapted policies; None without reference scores


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
    behavior_mode: Returns | None = None  # the behaviour policies by their modes, on the same episodes as the adapted
    meta_policy: Returns | None = None
    adapted: Returns
    on_the_way: dict[int, float] = {}  # steps of adaptation -> mean return after so many

    @model_validator(mode="after")
    def _lengths(self) -> Self:
        """Refuse lists that are not one entry per seed or per task."""
        seeds, tasks = len(self.seeds), len(self.tasks)
        if not (seeds and tasks):
            raise ValueError(f"{seeds} seeds and {tasks} tasks, expected one or more of each")
        lists = {name: (getattr(self, name), tasks) for name in ("params", "transitions", "behavior")}
        lists |= {"references": (self.references, tasks)} if self.references else {}
        tables = {"adapted": self.adapted, "behavior_mode": self.behavior_mode, "meta_policy": self.meta_policy}
        known = {name: table for name, table in tables.items() if table is not None}
        lists |= {"seconds": (self.seconds, seeds)} | {name: (table, seeds) for name, table in known.items()}
        for name, (values, expected) in lists.items():
            if len(values) != expected:
                raise ValueError(f"{name} has {len(values)} entries, expected {expected}")
        for name, table in known.items():
            if any(len(row) != tasks for row in table):
                raise ValueError(f"{name} has a seed with other than {tasks} entries, one per task")
        return self

    @computed_field  # type: ignore[prop-decorator]
    @cached_property
    def mean_adapted(self) -> StoredInterval:
        """Mean return of the adapted policies."""
        return mean_score(self.adapted)

    @computed_field  # type: ignore[prop-decorator]
    @cached_property
    def mean_meta_policy(self) -> StoredInterval | None:
        """Mean return of the meta-policy as it is."""
        return None if self.meta_policy is None else mean_score(self.meta_policy)

    @computed_field  # type: ignore[prop-decorator]
    @cached_property
    def mean_normalized(self) -> StoredInterval | None:
        """Mean normalised score of the adapted policies; None unless every task has reference scores."""
        columns = [self._scores(i) for i in range(len(self.tasks))]
        known = [column for column in columns if column is not None]
        return mean_score(list(zip(*known, strict=True))) if len(known) == len(columns) else None

    @computed_field  # type: ignore[prop-decorator]
    @cached_property
    def difference(self) -> StoredInterval:
        """Adapted minus behaviour, with an interval that speaks about new seeds on these tasks."""
        return mean_score(self._differences())

    @computed_field  # type: ignore[prop-decorator]
    @cached_property
    def difference_to_meta_policy(self) -> StoredInterval | None:
        """Adapted minus the meta-policy as it is, seed by seed; None without a meta-policy."""
        return self._minus(self.meta_policy)

    @computed_field  # type: ignore[prop-decorator]
    @cached_property
    def difference_to_behavior_mode(self) -> StoredInterval | None:
        """Adapted minus the behaviour policies by their modes, seed by seed; None where these were not measured."""
        return self._minus(self.behavior_mode)

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

    def minus(self, other: Row) -> Interval:
        """The difference of mean returns on the same tasks; the seeds of the two are drawn anew independently."""
        return mean_difference(self.adapted, other.adapted)

    def _minus(self, others: Returns | None) -> Interval | None:
        if others is None:
            return None
        pairs = zip(self.adapted, others, strict=True)
        return mean_score([[a - b for a, b in zip(*rows, strict=True)] for rows in pairs])

    def _scores(self, i: int) -> list[float] | None:
        """The normalised scores of the adapted policies on the i-th task, one per seed."""
        reference = self.references[i] if self.references else None
        return None if reference is None else [reference.normalized(row[i]) for row in self.adapted]

    def _differences(self) -> Returns:
        return [[a - b for a, b in zip(row, self.behavior, strict=True)] for row in self.adapted]
