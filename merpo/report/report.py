"""The results of a run as plain data, `report.json`: the page, the terminal's table and summaries are made from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, computed_field, model_validator

from merpo.artifacts.run_folder import OUTPUTS, REPORT
from merpo.artifacts.run_manifest import check_content, read_manifest
from merpo.data.reference_scores import ReferenceScores, normalized_scores
from merpo.evaluation.episode_stats import EpisodeStats
from merpo.evaluation.estimates import Estimates
from merpo.evaluation.videos import Videos
from merpo.report.curves import DualCurves
from merpo.report.health import Check
from merpo.report.policies import POLICIES, PerPolicy, from_flat, to_flat
from merpo.report.summary import Summary, summarize
from merpo.support.read import FileKind
from merpo.support.statistics.crossed import gap_closed

__all__ = [
    "EVALUATION_STAGES",
    "PROFILING",
    "REPEATED_STAGES",
    "SCHEMA_VERSION",
    "CurvePoint",
    "DatasetEntry",
    "Estimates",
    "ModelErrors",
    "Report",
    "TaskReport",
    "load_report",
    "means",
    "report_of",
    "scores",
    "training_seconds",
]

SCHEMA_VERSION: Literal[1] = 1
PROFILING = "profiling itself"
REPEATED_STAGES = ("data", "evaluate", "videos", "report", PROFILING)  # done by every process, never loaded
EVALUATION_STAGES = ("unseen tasks",)  # evaluations during meta-training


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class DatasetEntry(_Model):
    """A dataset that the run read."""

    task: int
    split: Literal["train", "test"]
    quality: str
    sha256: str
    behavior_return: float | None = None
    transitions: int
    name: str = ""


class TaskReport(_Model):
    """One unseen task: the returns of the policies, and their paths where observations are points in a plane."""

    index: int
    params: dict[str, JsonValue] = {}
    returns: Annotated[dict[str, float], PerPolicy()]  # by the keys of `POLICIES`, of those that were measured
    snapshots: dict[int, float] = {}  # return after some numbers of adaptation steps
    reference: ReferenceScores | None = None  # where the data comes with such
    episodes: dict[str, EpisodeStats] = {}  # policy -> its episodes
    trajectories: dict[str, list[tuple[float, float]]] = {}  # policy -> points (x, y)

    _from_flat, _to_flat = from_flat, to_flat

    @model_validator(mode="after")
    def _has_behavior(self) -> Self:
        """Refuse a task without the mean return of its data."""
        if "behavior" not in self.returns:
            raise ValueError("the return of the behavior policy is missing")
        return self

    @computed_field  # type: ignore[prop-decorator]
    @property
    def gap_closed(self) -> float | None:
        """(J − B)/(O − B) of this task, None without an oracle that is better than the behaviour policy."""
        if not {"adapted", "oracle"} <= self.returns.keys():
            return None
        return gap_closed(*(self.returns[key] for key in ("adapted", "behavior", "oracle")))

    @computed_field  # type: ignore[prop-decorator]
    @property
    def normalized(self) -> dict[str, float]:
        """The normalised scores of the policies that have one; none without reference scores."""
        return scores(self.reference, self.returns)


class CurvePoint(_Model):
    """Returns on the unseen tasks after some meta-training, one number per task."""

    step: int
    returns: Annotated[
        dict[str, list[float]], PerPolicy(has=lambda key: POLICIES[key].in_training, missing=[])
    ]  # by the keys of `POLICIES`

    _from_flat, _to_flat = from_flat, to_flat


class ModelErrors(_Model):
    """The model of each unseen task before and after it was adapted: held-out NLL and one-step error."""

    nll_before: list[float] = []
    nll_after: list[float] = []
    error_before: list[float] = []
    error_after: list[float] = []


class Report(_Model):
    """Everything that `report.html` shows; the summary is derived."""

    schema_version: Literal[1] = SCHEMA_VERSION
    title: str
    seed: int
    created: str = ""
    notes: list[str] = []  # what a reader must know, such as test tasks that were trained on
    recipe: dict[str, JsonValue] = {}
    versions: dict[str, str] = {}
    datasets: list[DatasetEntry] = []
    timings: dict[str, float | None] = {}  # stage -> seconds, whichever processes they were in; None: not known
    reused: list[str] = []  # stages that the last process found finished
    tasks: list[TaskReport] = Field(min_length=1)
    health: list[Check] = []  # empty for a report of an older merpo
    training_curve: list[CurvePoint] = []
    duals: DualCurves = DualCurves()
    model: ModelErrors = ModelErrors()
    estimates: Estimates = Estimates()
    videos: Videos = Videos()

    @computed_field  # type: ignore[prop-decorator]
    @cached_property
    def summary(self) -> Summary:
        """Means, intervals and counts over the unseen tasks."""
        rows = {key: self.returns(key) for key in POLICIES}
        measured = {key: [row] for key, row in rows.items() if row is not None}
        return summarize(measured)

    @property
    def seconds(self) -> float | None:
        """The time of all stages together; None where the time of one is unknown."""
        known = [seconds for seconds in self.timings.values() if seconds is not None]
        return sum(known) if len(known) == len(self.timings) > 0 else None

    def returns(self, policy: str) -> list[float] | None:
        """The return of `policy`, a key of `POLICIES`, per task; None if a task has none."""
        values = [task.returns[policy] for task in self.tasks if policy in task.returns]
        return values if len(values) == len(self.tasks) else None

    def section(self, name: str) -> dict[str, JsonValue]:
        """A table of the recipe, such as `tasks`; empty where it is not known."""
        found = self.recipe.get(name)
        return found if isinstance(found, dict) else {}

    def to_json(self) -> str:
        """The text of `report.json`."""
        return self.model_dump_json(indent=1) + "\n"


_KIND = FileKind(f"a report of version {SCHEMA_VERSION}")


def load_report(path: Path) -> Report:
    """A report from its JSON file, compared with nothing; see `report_of` for that of a run.

    Raises `ArtifactError` where it is missing, damaged or of another version.
    """
    return _KIND.read_model(path, Report)


def report_of(folder: Path, trust: bool = False) -> Report:
    """The report of the run in `folder`; raises `ArtifactError` if it is not the one that the run wrote.

    With `trust` it is not compared with the run's manifest.
    """
    text = _KIND.read_text(folder / REPORT)
    if not trust:
        check_content(folder, read_manifest(folder), REPORT, text.encode())
    return _KIND.parse_model(text, folder / REPORT, Report)


def scores(reference: ReferenceScores | None, returns: Mapping[str, float]) -> dict[str, float]:
    """The normalised scores of those `returns` whose policies have one, in the order of every table."""
    return normalized_scores(reference, {key: returns.get(key) for key, policy in POLICIES.items() if policy.scored})


def means(tasks: Sequence[TaskReport]) -> dict[str, EpisodeStats]:
    """Per policy the means over the tasks, in the order of every table, and the number of all their episodes."""
    found = {}
    for policy in POLICIES:
        own = [task.episodes[policy] for task in tasks if policy in task.episodes]
        if own:
            found[policy] = EpisodeStats(
                episodes=sum(stats.episodes for stats in own),
                return_mean=_mean([stats.return_mean for stats in own]),
                return_std=_mean([stats.return_std for stats in own]),
                length=_mean([stats.length for stats in own]),
                termination_rate=_mean([stats.termination_rate for stats in own]),
            )
    return found


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def training_seconds(timings: Mapping[str, float | None], artifacts: Iterable[str]) -> float | None:
    """Seconds of training and adaptation without data and evaluation; None where the time of a stage is unknown.

    `artifacts` are the names in the run's manifest: a stage that has one and no time was reused by a merpo that did
    not store times.
    """
    stages = set(artifacts).difference(OUTPUTS)
    found = {
        name: timings.get(name)
        for name in stages | timings.keys()
        if name not in (*REPEATED_STAGES, *EVALUATION_STAGES)
    }
    known = [seconds for seconds in found.values() if seconds is not None]
    return sum(known) if len(known) == len(found) > 0 else None
