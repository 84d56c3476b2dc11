"""`merpo compare`: aggregates of arms on the same unseen tasks, and comparisons of each pair."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from merpo.compare.arms import Arm, read_arms, require_same_tasks
from merpo.compare.stored import StoredInterval
from merpo.errors import MerpoError, nearest
from merpo.lazy import np
from merpo.report.policies import POLICIES, PerPolicy, from_flat, in_order, to_flat
from merpo.report.report import TaskReport
from merpo.report.seeds import data_of, data_sets, sources_of
from merpo.support.statistics.holm import holm
from merpo.support.statistics.interval import SOURCES, Interval, Source, Verdict, covered, judged
from merpo.support.statistics.scores import (
    ScoreProfile,
    iqm,
    mean_difference,
    mean_score,
    median,
    optimality_gap,
    performance_profile,
    probability_of_improvement,
    worst_decile,
)

__all__ = ["SCORES", "ArmScores", "Comparison", "Pair", "compare_runs"]

Score: TypeAlias = Literal["gap", "normalized", "return"]
SCORES = {"gap": "gap closed", "normalized": "normalised score", "return": "return"}
OTHERS = PerPolicy(lambda key: f"mean_return_of_{key}", has=lambda key: key != "adapted")
LACKING = {"gap": "no oracle better than its behaviour policy", "normalized": "no reference scores"}
THRESHOLDS = 101
MOST_NOTES = 12  # of the runs' own


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True)


class ArmScores(_Model):
    """One arm: its scores [seed][task], and their aggregates."""

    label: str
    seeds: list[int]
    runs: list[str]  # their folders
    scores: list[list[float]]
    returns: list[list[float]]
    iqm: StoredInterval
    median: StoredInterval
    mean: StoredInterval
    worst_decile: StoredInterval
    mean_return: StoredInterval
    others: Annotated[dict[str, StoredInterval], OTHERS] = {}  # mean returns of the policies beside the adapted one
    optimality_gap: StoredInterval | None = None  # None where a task has no oracle better than its behaviour policy
    worse_than_behavior: int  # (seed, task) pairs
    profile: ScoreProfile

    _from_flat, _to_flat = from_flat, to_flat

    @property
    def mean_returns(self) -> dict[str, Interval]:
        """Key of every policy that was measured -> its mean return."""
        return dict(in_order({**self.others, "adapted": self.mean_return}))


class Pair(_Model):
    """Two arms: the probability that a run of `first` has a higher score than one of `second` on the same task, and
    the difference of their mean scores with the p-value of Welch's test, alone and corrected for all pairs (Holm).
    """

    first: str
    second: str
    probability: StoredInterval
    difference: StoredInterval
    p: float | None = None  # None where an arm has one seed
    p_holm: float | None = None
    verdict: Verdict  # on the claim that the first is better, after the correction


class Comparison(_Model):
    """The content of `comparison.json`: all that tables and pictures show."""

    score: Score
    tasks: list[int]
    arms: list[ArmScores]
    pairs: list[Pair]
    notes: list[str]

    @property
    def score_name(self) -> str:
        """The score's name in headings."""
        return SCORES[self.score]

    @property
    def covers(self) -> str:
        """What the arms' intervals are for; empty where no arm has any."""
        return " or ".join(dict.fromkeys(covered(arm.mean.covers) for arm in self.arms if arm.mean.covers))


def compare_runs(paths: Sequence[Path], score: str = "auto", trust: bool = False) -> Comparison:
    """Aggregates of each arm of the runs in `paths` (see `read_arms`), and comparisons of each pair of arms.

    The score of a run on a task is the gap closed, (J − B)/(O − B), which weighs all tasks alike, the normalised score,
    or the return; `auto` takes the first of them that every task has. Raises `MerpoError` for arms on different tasks,
    and for a score that is unknown or that a task does not have.
    """
    arms = read_arms(paths, trust=trust)
    require_same_tasks(arms)
    kind = _kind(arms, score)
    tables = [_scores(arm, kind) for arm in arms]
    every = np.concatenate([np.asarray(table) for table in tables])
    thresholds = _thresholds(float(every.min()), float(every.max()))
    with_gap = not _lacking(arms, "gap")
    rows = [_arm(arm, table, thresholds, with_gap) for arm, table in zip(arms, tables, strict=True)]
    tasks = [task.index for task in arms[0].reports[0].tasks]
    return Comparison(score=kind, tasks=tasks, arms=rows, pairs=_pairs(arms, tables), notes=_notes(arms))


def _pairs(arms: Sequence[Arm], tables: Sequence[list[list[float]]]) -> list[Pair]:
    """Every pair of arms, whose runs are independent."""
    compared = list(combinations(zip(arms, tables, strict=True), 2))
    covers = [_both(sources_of(first.reports), sources_of(second.reports)) for (first, _), (second, _) in compared]
    differences = [mean_difference(x, y, own) for ((_, x), (_, y)), own in zip(compared, covers, strict=True)]
    p_values = [one.p_value() for one in differences]
    return [
        Pair(
            first=first.label,
            second=second.label,
            probability=probability_of_improvement(x, y, own),
            difference=difference.interval,
            p=p,
            p_holm=corrected,
            verdict=judged(difference.interval, corrected=corrected),
        )
        for ((first, x), (second, y)), own, difference, p, corrected in zip(
            compared, covers, differences, p_values, holm(p_values), strict=True
        )
    ]


def _both(first: tuple[Source, ...], second: tuple[Source, ...]) -> tuple[Source, ...]:
    """What a difference of two arms covers: the seeds of each, and new data if both have it."""
    return tuple(
        one for one in SOURCES if one in (*first, *second) and (one != "data" or (one in first and one in second))
    )


def _arm(arm: Arm, scores: list[list[float]], thresholds: Sequence[float], with_gap: bool) -> ArmScores:
    returns, covers = _scores(arm, "return"), sources_of(arm.reports)
    others = {key: arm.returns(key) for key in POLICIES if key != "adapted"}
    return ArmScores(
        label=arm.label,
        seeds=list(arm.seeds),
        runs=[str(path) for path in arm.paths],
        scores=scores,
        returns=returns,
        iqm=iqm(scores, covers),
        median=median(scores, covers),
        mean=mean_score(scores, covers),
        worst_decile=worst_decile(scores, covers),
        mean_return=mean_score(returns, covers),
        others={key: mean_score(table, covers) for key, table in others.items() if table is not None},
        optimality_gap=optimality_gap(_scores(arm, "gap"), covers) if with_gap else None,
        worse_than_behavior=sum(
            adapted < behavior
            for rows in zip(returns, arm.returns("behavior") or [], strict=True)
            for adapted, behavior in zip(*rows, strict=True)
        ),
        profile=performance_profile(scores, thresholds),
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
    """The tasks, as text, for which a run does not have this score."""
    return [
        f"task {task.index} of {path}"
        for arm in arms
        for path, report in zip(arm.paths, arm.reports, strict=True)
        for task in report.tasks
        if kind != "return" and _score(task, kind) is None
    ]


def _score(task: TaskReport, kind: Score) -> float | None:
    return task.gap_closed if kind == "gap" else task.normalized.get("adapted")


def _scores(arm: Arm, kind: Score) -> list[list[float]]:
    """Scores [seed][task] of a kind that every task has."""
    if kind == "return":
        return arm.returns("adapted") or []
    rows = [[_score(task, kind) for task in report.tasks] for report in arm.reports]
    return [[score for score in row if score is not None] for row in rows]


def _thresholds(low: float, high: float) -> list[float]:
    """Evenly spaced, from just below the lowest score to just above the highest."""
    margin = 0.02 * (high - low) or 0.5
    return [float(x) for x in np.linspace(low - margin, high + margin, THRESHOLDS)]


def _notes(arms: Sequence[Arm]) -> list[str]:
    """Caveats: differences between the arms in seeds, data or evaluation."""
    notes = [f"{arm.label} is short for: {arm.full_label}." for arm in arms if arm.full_label]
    single = [arm.label for arm in arms if len(arm.seeds) == 1]
    if single:
        notes.append(f"One seed only, hence no interval: {', '.join(single)}.")
    if len({arm.seeds for arm in arms}) > 1:
        notes.append("The arms were run with different seeds.")
    mixed = [arm.label for arm in arms if len({data_of(report) for report in arm.reports}) > 1]
    notes += [f"The seeds of {label} were trained on different data." for label in mixed]
    if len({data_of(arm.reports[0]) for arm in arms}) > 1:
        notes.append("The arms were trained on different data.")
    if data_sets([report for arm in arms for report in arm.reports]) == 1 and len(single) < len(arms):
        notes.append("All runs share one data set: no interval covers other data.")
    for key, what in (("episodes", "numbers of episodes"), ("policy", "kinds of actions (drawn, or the mean)")):
        if len({report.section("evaluate").get(key) for arm in arms for report in arm.reports}) > 1:
            notes.append(f"The arms were measured with different {what}.")
    if {report.section("evaluate").get("policy") for arm in arms for report in arm.reports} == {"deterministic"}:
        notes.append("Adapted policies and meta-policies act by their modes; by drawn actions they were not measured.")
    told = [
        f"{arm.label}, seed {report.seed}: {note}" for arm in arms for report in arm.reports for note in report.notes
    ]
    more = len(told) - MOST_NOTES
    return [*notes, *told[:MOST_NOTES], *([f"{more} more notes are in the runs' reports."] if more > 0 else [])]
