"""`merpo compare`: arms against each other on the same unseen tasks, as numbers with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from merpo.compare.aggregates import (
    Estimate,
    Profile,
    iqm,
    mean_score,
    median,
    optimality_gap,
    performance_profile,
    probability,
)
from merpo.compare.arms import Arm, read_arms
from merpo.errors import MerpoError, nearest
from merpo.lazy import np
from merpo.report.report import Report, TaskReport

__all__ = ["SCORES", "ArmScores", "Comparison", "Pair", "compare_arms", "compare_runs"]

Score: TypeAlias = Literal["gap", "normalized", "return"]
SCORES = {"gap": "gap closed", "normalized": "normalised score", "return": "return"}
LACKING = {"gap": "no oracle that is better than its behaviour", "normalized": "no reference scores"}
THRESHOLDS = 101


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True)


class ArmScores(_Model):
    """One arm: its scores [seed][task], and what they come to."""

    label: str
    seeds: list[int]
    runs: list[str]  # their folders
    scores: list[list[float]]
    returns: list[list[float]]
    iqm: Estimate
    median: Estimate
    mean: Estimate
    mean_return: Estimate
    optimality_gap: Estimate | None = None  # None where some task has no oracle that is better than its behaviour
    worse_than_behavior: int  # (seed, task) pairs
    profile: Profile


class Pair(_Model):
    """The probability that a run of `first` has a higher score than one of `second` on the same task."""

    first: str
    second: str
    probability: Estimate


class Comparison(_Model):
    """Everything that tables and pictures show."""

    score: Score
    tasks: list[int]
    arms: list[ArmScores]
    pairs: list[Pair]
    notes: list[str]

    @property
    def score_name(self) -> str:
        """What readers call the score."""
        return SCORES[self.score]


def compare_runs(paths: Sequence[Path], score: str = "auto") -> Comparison:
    """Compare all finished runs that `paths` are or hold; see `compare_arms`."""
    return compare_arms(read_arms(paths), score)


def compare_arms(arms: Sequence[Arm], score: str = "auto") -> Comparison:
    """Aggregates of each arm, and probabilities of improvement of each pair.

    The score of a run on a task is the gap closed, (J − B)/(O − B), which weighs all tasks alike, the normalised score,
    or the return; `auto` takes the first of them that every task has. Raises `MerpoError` for an unknown score, or one
    that is not there.
    """
    _require_returns(arms)
    kind = _kind(arms, score)
    tables = [[_scores(report, kind) for report in arm.reports] for arm in arms]
    every = np.concatenate([np.asarray(table) for table in tables])
    thresholds = _thresholds(float(every.min()), float(every.max()))
    with_gap = not _lacking(arms, "gap")
    rows = [_arm(arm, table, thresholds, with_gap) for arm, table in zip(arms, tables, strict=True)]
    pairs = [
        Pair(first=arms[i].label, second=arms[j].label, probability=probability(tables[i], tables[j]))
        for i in range(len(arms))
        for j in range(i + 1, len(arms))
    ]
    tasks = [task.index for task in arms[0].reports[0].tasks]
    return Comparison(score=kind, tasks=tasks, arms=rows, pairs=pairs, notes=_notes(arms))


def _arm(arm: Arm, scores: list[list[float]], thresholds: Sequence[float], with_gap: bool) -> ArmScores:
    returns = [_scores(report, "return") for report in arm.reports]
    return ArmScores(
        label=arm.label,
        seeds=list(arm.seeds),
        runs=[str(path) for path in arm.paths],
        scores=scores,
        returns=returns,
        iqm=iqm(scores),
        median=median(scores),
        mean=mean_score(scores),
        mean_return=mean_score(returns),
        optimality_gap=optimality_gap([_scores(report, "gap") for report in arm.reports]) if with_gap else None,
        worse_than_behavior=sum(_worse(task) for report in arm.reports for task in report.tasks),
        profile=performance_profile(scores, thresholds),
    )


def _worse(task: TaskReport) -> bool:
    """Whether the adapted policy earns less than the behaviour policy."""
    return "adapted" in task.returns and task.returns["adapted"] < task.returns["behavior"]


def _require_returns(arms: Sequence[Arm]) -> None:
    """Refuse runs on logs alone: nothing was measured that could be compared."""
    for arm in arms:
        for path, report in zip(arm.paths, arm.reports, strict=True):
            for task in report.tasks:
                if "adapted" not in task.returns:
                    raise MerpoError(
                        f"{path}: task {task.index} was not measured, as there is no environment for it; "
                        "expected runs that were measured in environments"
                    )


def _kind(arms: Sequence[Arm], score: str) -> Score:
    if score not in ("auto", *SCORES):
        choices = ("auto", *SCORES)
        raise MerpoError(f"score: got {score!r:.60}{nearest(score, choices)}, expected one of: {', '.join(choices)}")
    wanted: tuple[Score, ...] = tuple(kind for kind in SCORES if score in ("auto", kind))  # type: ignore[misc]
    for kind in wanted:
        if not (lacking := _lacking(arms, kind)):
            return kind
    raise MerpoError(f"score {score}: {lacking[0]} has {LACKING[score]}; expected return")


def _lacking(arms: Sequence[Arm], kind: Score) -> list[str]:
    """The tasks of runs that have no such score."""
    return [
        f"task {task.index} of {path}"
        for arm in arms
        for path, report in zip(arm.paths, arm.reports, strict=True)
        for task in report.tasks
        if _score(task, kind) is None
    ]


def _score(task: TaskReport, kind: Score) -> float | None:
    if kind == "gap":
        return task.gap_closed
    return (task.normalized if kind == "normalized" else task.returns).get("adapted")


def _scores(report: Report, kind: Score) -> list[float]:
    """The score of every task."""
    values = [_score(task, kind) for task in report.tasks]
    return [value for value in values if value is not None]  # none is, as `_kind` has seen to it


def _thresholds(low: float, high: float) -> list[float]:
    """From just below the least score to the greatest."""
    margin = 0.02 * (high - low) or 0.5
    return [float(x) for x in np.linspace(low - margin, high + margin, THRESHOLDS)]


def _notes(arms: Sequence[Arm]) -> list[str]:
    """What a reader must know before believing a difference."""
    notes = [f"{arm.label} is short for: {arm.whole}." for arm in arms if arm.whole]
    single = [arm.label for arm in arms if len(arm.seeds) == 1]
    if single:
        notes.append(f"One seed only, hence no interval: {', '.join(single)}.")
    if len({arm.seeds for arm in arms}) > 1:
        notes.append("The arms were run with different seeds.")
    mixed = [arm.label for arm in arms if len({_data(report) for report in arm.reports}) > 1]
    notes += [f"The seeds of {label} were trained on different data." for label in mixed]
    if len({_data(arm.reports[0]) for arm in arms}) > 1:
        notes.append("The arms were trained on different data.")
    for key, what in (("episodes", "numbers of episodes"), ("policy", "kinds of actions (drawn, or the mean)")):
        if len({report.section("evaluate").get(key) for arm in arms for report in arm.reports}) > 1:
            notes.append(f"The arms were measured with different {what}.")
    return notes


def _data(report: Report) -> frozenset[str]:
    return frozenset(entry.sha256 for entry in report.datasets)
