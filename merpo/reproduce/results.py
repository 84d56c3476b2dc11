"""From the finished runs of a figure to its verdicts."""

from __future__ import annotations

from collections.abc import Sequence

from merpo.compare.arms import Arm as ComparedArm
from merpo.compare.arms import require_same_tasks
from merpo.report.report import Report, report_of
from merpo.report.seeds import sources_of
from merpo.reproduce.check import ArmRuns, check_claims
from merpo.reproduce.figure import Arm
from merpo.reproduce.measures import policy_return
from merpo.reproduce.plan import Experiment
from merpo.reproduce.verdicts import ArmResult, Found
from merpo.support.statistics.estimate import student
from merpo.support.statistics.interval import Source as Coverage
from merpo.support.statistics.interval import covered
from merpo.sweep.plan import is_finished

__all__ = ["found_of", "runs_of"]

DATA = "data"


def runs_of(experiment: Experiment, trust: bool = False) -> dict[str, ArmRuns]:
    """The finished runs of every arm, by its id."""
    return {arm.id: _runs(experiment, arm, trust) for arm in experiment.figure.arms_of(experiment.family.name)}


def found_of(experiment: Experiment, arms: dict[str, ArmRuns]) -> Found:
    """The verdicts on all claims of a figure on one family.

    Raises `MerpoError` where a claim compares runs on different unseen tasks.
    """
    figure, family = experiment.figure, experiment.family
    for claim in figure.claims_of(family.name):
        there = [name for name in (*claim.first, *claim.second) if arms[name].reports]
        if there:
            require_same_tasks([_as_compared(experiment, name, arms[name]) for name in there])
    reports = [report for arm in arms.values() for report in arm.reports.values()]
    return Found(
        figure=figure.id,
        title=figure.title,
        caption=figure.caption,
        source=figure.source,
        note=" ".join(text for text in (figure.note, family.note) if text),
        family=family.name,
        family_title=family.title,
        size=experiment.size.name,
        seeds=experiment.seeds,
        own_data=experiment.fresh,
        covers=covered(_covers(arms)),
        merpo=_only(reports, "merpo"),
        processor=_only(reports, "processor"),
        minutes=_minutes(reports),
        arms=tuple(_arm(name, arm) for name, arm in arms.items()),
        claims=tuple(check_claims(figure.claims_of(family.name), arms, family.name)),
    )


def _runs(experiment: Experiment, arm: Arm, trust: bool) -> ArmRuns:
    jobs = [job for job in experiment.jobs_of(arm.id) if is_finished(job, trust)]
    reports = {job.seed: report_of(job.folder, trust) for job in jobs}
    return ArmRuns(arm.label, reports, DATA if experiment.fresh else arm.meta or arm.id)


def _as_compared(experiment: Experiment, name: str, arm: ArmRuns) -> ComparedArm:
    """The arm in the form of `merpo compare`."""
    paths = tuple(experiment.jobs[name, seed].folder for seed in arm.reports)
    return ComparedArm(arm.label, tuple(arm.reports.values()), paths)


def _arm(name: str, arm: ArmRuns) -> ArmResult:
    reports = list(arm.reports.values())
    values = [value for report in reports if (value := policy_return(report, "adapted")) is not None]
    interval = student(values, sources_of(reports)) if values else None
    return ArmResult(id=name, label=arm.label, runs=len(reports), adapted=interval)


def _covers(arms: dict[str, ArmRuns]) -> tuple[Coverage, ...]:
    """What the intervals of the arms with most runs are for."""
    most = max(arms.values(), key=lambda arm: len(arm.reports), default=None)
    reports = list(most.reports.values()) if most is not None else []
    return sources_of(reports) if len(reports) > 1 else ()


def _only(reports: Sequence[Report], key: str) -> str:
    """The versions of something that the runs had, in the order in which they appear."""
    return ", ".join(dict.fromkeys(found for report in reports if (found := report.versions.get(key))))


def _minutes(reports: Sequence[Report]) -> float | None:
    """The mean time of a run, evaluation and all."""
    seconds = [report.seconds for report in reports]
    known = [value for value in seconds if value is not None]
    return round(sum(known) / len(known) / 60, 2) if known and len(known) == len(seconds) else None
