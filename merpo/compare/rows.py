"""One row of results: the runs of one recipe as plain numbers, and their aggregates."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, JsonValue, computed_field, model_validator

from merpo.compare.stored import StoredInterval
from merpo.data.reference_scores import ReferenceScores
from merpo.report.seeds import seed_sources
from merpo.support.statistics.crossed import crossed
from merpo.support.statistics.estimate import Estimate
from merpo.support.statistics.interval import Interval, Source
from merpo.support.statistics.scores import iqm, mean_difference, mean_score, worst_decile

__all__ = ["Row"]

Returns: TypeAlias = list[list[float]]  # [seed][task]

PER_TASK = ("tasks", "params", "transitions", "references", "behavior")  # fields [task]
RETURNS = (  # fields [seed][task]
    "adapted", "adapted_drawn", "behavior_mode", "clone", "clone_drawn", "meta_policy", "meta_policy_drawn",
)  # fmt: skip


class Row(BaseModel):
    """One recipe: sizes, times, and the returns of its policies."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    name: str
    whole: str = ""  # the full label, where `name` is a shortened one
    family: str
    quality: str
    data: str  # digest of the unseen tasks' data; rows with equal digests can be compared
    seeds: list[int]
    data_sets: int = 1  # of all seeds, training tasks included
    train_tasks: int
    tasks: list[int]  # indices of the unseen tasks
    params: list[dict[str, JsonValue]]
    transitions: list[int]  # rows of each unseen task's data
    networks: dict[str, str]
    steps: dict[str, str]
    seconds: list[float | None]  # of training and adaptation, per seed; None where a reused stage has no stored time
    versions: dict[str, str] = {}
    references: list[ReferenceScores | None] = []  # what 0 and 100 are on each task, where its data has them
    behavior: list[float]
    behavior_mode: Returns | None = None  # modes of the behaviour policies, on the same episodes as the adapted ones
    clone: Returns | None = None  # modes of the behaviour clones
    clone_drawn: Returns | None = None
    meta_policy: Returns | None = None
    meta_policy_drawn: Returns | None = None
    adapted: Returns
    adapted_drawn: Returns | None = None
    drawn: bool = False  # whether adapted policies and meta-policies were measured by drawn actions, not by their modes
    on_the_way: dict[int, float] = {}  # steps of adaptation -> mean return after that many

    @model_validator(mode="after")
    def _lengths(self) -> Self:
        """Refuse lists that do not have one entry per seed or per task."""
        seeds, tasks = len(self.seeds), len(self.tasks)
        if not (seeds and tasks):
            raise ValueError(f"{seeds} seeds and {tasks} tasks, expected one or more of each")
        tables = [name for name in RETURNS if getattr(self, name) is not None]
        lists = [name for name in PER_TASK if name != "references" or self.references]
        for name, expected in [*((name, tasks) for name in lists), *((name, seeds) for name in ("seconds", *tables))]:
            if (entries := len(getattr(self, name))) != expected:
                raise ValueError(f"{name} has {entries} entries, expected {expected}")
        for name in tables:
            if any(len(row) != tasks for row in getattr(self, name)):
                raise ValueError(f"{name} has a seed with other than {tasks} entries, one per task")
        return self

    @property
    def covers(self) -> tuple[Source, ...]:
        """What the seeds decide, so what intervals over them cover."""
        counts = {name: int(text.split()[0].replace(",", "")) for name, text in self.steps.items()}
        own: tuple[Source, ...] = ("data",) if 1 < self.data_sets == len(self.seeds) else ()
        return own + seed_sources(counts)

    @property
    def key(self) -> tuple[str, str]:
        """Family and name, which identify a row."""
        return self.family, self.name

    @computed_field  # type: ignore[prop-decorator]
    @cached_property
    def mean_adapted(self) -> StoredInterval:
        """Mean return of the adapted policies."""
        return mean_score(self.adapted, self.covers)

    @computed_field  # type: ignore[prop-decorator]
    @cached_property
    def mean_adapted_drawn(self) -> StoredInterval | None:
        """Mean return of the adapted policies by drawn actions, as the data's."""
        return self._mean(self.adapted_drawn)

    @computed_field  # type: ignore[prop-decorator]
    @cached_property
    def mean_meta_policy_drawn(self) -> StoredInterval | None:
        """Mean return of the meta-policy by drawn actions."""
        return self._mean(self.meta_policy_drawn)

    @computed_field  # type: ignore[prop-decorator]
    @cached_property
    def iqm_adapted(self) -> StoredInterval:
        """Interquartile mean over tasks of the adapted policies' returns."""
        return iqm(self.adapted, self.covers)

    @computed_field  # type: ignore[prop-decorator]
    @cached_property
    def worst_decile_adapted(self) -> StoredInterval:
        """Mean return of the adapted policies on each seed's worst tenth of the tasks."""
        return worst_decile(self.adapted, self.covers)

    @computed_field  # type: ignore[prop-decorator]
    @cached_property
    def mean_behavior_mode(self) -> StoredInterval | None:
        """Mean return of the behaviour policies by their modes; their seeds are those of the episodes."""
        return None if self.behavior_mode is None else mean_score(self.behavior_mode, ("episodes",))

    @computed_field  # type: ignore[prop-decorator]
    @cached_property
    def mean_clone_drawn(self) -> StoredInterval | None:
        """Mean return of the behaviour clones by drawn actions."""
        return self._mean(self.clone_drawn)

    @computed_field  # type: ignore[prop-decorator]
    @cached_property
    def mean_meta_policy(self) -> StoredInterval | None:
        """Mean return of the meta-policy without adaptation."""
        return self._mean(self.meta_policy)

    @computed_field  # type: ignore[prop-decorator]
    @cached_property
    def mean_clone(self) -> StoredInterval | None:
        """Mean return of the behaviour clones by their modes."""
        return self._mean(self.clone)

    @computed_field  # type: ignore[prop-decorator]
    @cached_property
    def mean_normalized(self) -> StoredInterval | None:
        """Mean normalised score of the adapted policies; None unless every task has reference scores."""
        references = [reference for reference in self.references if reference is not None]
        if len(references) < len(self.tasks):
            return None
        scores = [[r.normalized(x) for r, x in zip(references, row, strict=True)] for row in self.adapted]
        return mean_score(scores, self.covers)

    @computed_field  # type: ignore[prop-decorator]
    @cached_property
    def difference(self) -> StoredInterval:
        """Adapted minus behaviour, with an interval for new seeds on these tasks."""
        return mean_score(self._minus(self._behaviors), self.covers)

    @computed_field  # type: ignore[prop-decorator]
    @cached_property
    def difference_to_meta_policy(self) -> StoredInterval | None:
        """Adapted minus the meta-policy, paired by seed; None without a meta-policy."""
        return self._difference(self.meta_policy)

    @computed_field  # type: ignore[prop-decorator]
    @cached_property
    def difference_to_behavior_mode(self) -> StoredInterval | None:
        """Adapted minus the behaviour policies' modes, paired by seed; None where these were not measured."""
        return self._difference(self.behavior_mode)

    @computed_field  # type: ignore[prop-decorator]
    @cached_property
    def difference_to_clone(self) -> StoredInterval | None:
        """Adapted minus the behaviour clones by their modes, paired by seed; None where these were not measured."""
        return self._difference(self.clone)

    @computed_field  # type: ignore[prop-decorator]
    @cached_property
    def difference_on_new_tasks(self) -> Interval | None:
        """Adapted minus behaviour, with an interval for new seeds and new tasks; None with a single task."""
        return None if len(self.tasks) == 1 else crossed(self._minus(self._behaviors), self.covers)

    @computed_field  # type: ignore[prop-decorator]
    @cached_property
    def worse(self) -> int:
        """The number of (seed, task) pairs on which the adapted policy earns less than the behaviour policy."""
        return sum(value < 0 for row in self._minus(self._behaviors) for value in row)

    def by_task(self) -> list[Row]:
        """A row per unseen task."""
        return [self._of_task(i) for i in range(len(self.tasks))]

    def minus(self, other: Row) -> Estimate:
        """The difference of mean returns on the same tasks; the runs of both are independent."""
        covers = tuple(dict.fromkeys(one for one in (*self.covers, *other.covers) if one != "data"))
        return mean_difference(self.adapted, other.adapted, covers)

    def _of_task(self, i: int) -> Row:
        fields: dict[str, Any] = {name: getattr(self, name) for name in type(self).model_fields}
        fields |= {name: fields[name][i : i + 1] for name in PER_TASK}
        fields |= {name: [row[i : i + 1] for row in fields[name]] for name in RETURNS if fields[name] is not None}
        return Row(**fields)

    @property
    def _behaviors(self) -> Returns:
        """The behaviour policies' returns, which are those of the data, once per seed."""
        return [self.behavior] * len(self.seeds)

    def _mean(self, returns: Returns | None) -> StoredInterval | None:
        """The mean return of a policy; None where it was not measured."""
        return None if returns is None else mean_score(returns, self.covers)

    def _difference(self, others: Returns | None) -> StoredInterval | None:
        """Adapted minus another policy, paired by seed; None where that was not measured."""
        return None if others is None else mean_score(self._minus(others), self.covers)

    def _minus(self, others: Returns) -> Returns:
        pairs = zip(self.adapted, others, strict=True)
        return [[a - b for a, b in zip(*rows, strict=True)] for rows in pairs]
