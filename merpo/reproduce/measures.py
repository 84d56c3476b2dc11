"""The numbers of one run that claims compare, each a mean over its unseen tasks."""

from __future__ import annotations

import math
from collections.abc import Sequence

from merpo.report.report import Report
from merpo.reproduce.claim import Claim, Curve, Measure
from merpo.support.statistics.crossed import gap_closed

__all__ = ["curve_of", "measured", "policy_return"]

PART = 3  # a curve's beginning and its end are a third of its points each


def measured(report: Report, claim: Claim) -> float | None:
    """The claim's number of a run; None where the run does not have it."""
    match claim.measure:
        case "adapted":
            return policy_return(report, "adapted")
        case "adapted drawn":
            return policy_return(report, "adapted_drawn")
        case "gap closed":
            earned = [policy_return(report, policy) for policy in ("adapted", "behavior", "oracle")]
            return gap_closed(*known) if len(known := _known(earned)) == len(earned) else None
        case "snapshot":
            found = _known([task.snapshots.get(claim.step or 0) for task in report.tasks])
            return _mean(found) if len(found) == len(report.tasks) else None
    return _of_curve([value for step, value in curve_of(report, claim.curve) if step > 0], claim.measure)


def _of_curve(points: Sequence[float], measure: Measure) -> float | None:
    """A number of a curve's points after its start; None where there are fewer than two."""
    if len(points) < 2:
        return None
    part = math.ceil(len(points) / PART)
    if measure == "early":
        return _mean(points[:part])
    if measure == "trend":
        return _mean(points[-part:]) - _mean(points[:part])
    return math.sqrt(_mean([(value - _mean(points)) ** 2 for value in points]))


def policy_return(report: Report, policy: str) -> float | None:
    """The mean return of a policy over the unseen tasks; None where it was not measured on all of them."""
    found = report.returns(policy)
    return None if found is None else _mean(found)


def curve_of(report: Report, curve: Curve) -> list[tuple[int, float]]:
    """Steps and mean returns of the adapted policies: over adaptation, its end included, or over meta-training."""
    if curve == "training":
        measured_at = [point for point in report.training_curve if point.returns.get("adapted")]
        return [(point.step, _mean(point.returns["adapted"])) for point in measured_at]
    steps = [step for step in sorted(report.tasks[0].snapshots) if all(step in task.snapshots for task in report.tasks)]
    points = {step: _mean([task.snapshots[step] for task in report.tasks]) for step in steps}
    last, end = _steps(report), policy_return(report, "adapted")
    if last is not None and end is not None and last > max(points, default=-1):
        points[last] = end
    return list(points.items())


def _steps(report: Report) -> int | None:
    """The steps of training on an unseen task; None for a method that does not say."""
    method = report.section("method")
    adaptation = method.get("adaptation")
    for found in (adaptation.get("steps") if isinstance(adaptation, dict) else None, method.get("steps")):
        if isinstance(found, int):
            return found
    return None


def _known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
