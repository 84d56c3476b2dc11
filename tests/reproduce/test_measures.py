"""The numbers of a run that claims compare."""

from __future__ import annotations

from typing import Any

import pytest
from reports import bare, synthetic

from merpo.report.report import Report
from merpo.reproduce.claim import Claim, Measure
from merpo.reproduce.measures import curve_of, measured, policy_return


def claim(measure: Measure, **changes: Any) -> Claim:
    return Claim(id="c", quote="q", source="s", first=("a",), second=("b",), measure=measure, **changes)


def adapting(snapshots: dict[int, float], adapted: float, steps: int | None = None) -> Report:
    recipe = {"method": {} if steps is None else {"adaptation": {"steps": steps}}}
    return bare(recipe=recipe, tasks=[{"index": 0, "behavior": -2.0, "adapted": adapted, "snapshots": snapshots}])


def test_returns_are_means_over_the_unseen_tasks() -> None:
    report = synthetic(4)
    expected = sum(task.returns["adapted"] for task in report.tasks) / 4
    assert measured(report, claim("adapted")) == pytest.approx(expected)
    assert policy_return(report, "nobody") is None
    tasks = [{"index": i, "behavior": -2.0, "adapted": -1.0, "adapted_drawn": -1.5 - i} for i in (0, 1)]
    assert measured(bare(tasks=tasks), claim("adapted drawn")) == pytest.approx(-2.0)
    assert measured(bare(), claim("adapted drawn")) is None, "it was not measured"
    snapshot = sum(task.snapshots[25] for task in report.tasks) / 4
    assert measured(report, claim("snapshot", step=25)) == pytest.approx(snapshot)
    assert measured(report, claim("snapshot", step=26)) is None


def test_the_gap_closed_is_of_mean_returns() -> None:
    tasks = [{"index": i, "behavior": -10.0, "adapted": -10.0 + i, "oracle": -8.0} for i in (0, 2)]
    assert measured(bare(tasks=tasks), claim("gap closed")) == pytest.approx(0.5)
    assert measured(bare(), claim("gap closed")) is None


def test_the_end_of_adaptation_is_the_last_point_of_its_curve() -> None:
    points = {0: 0.0, 10: 1.0}
    assert curve_of(adapting(points, 5.0, 20), "adaptation") == [(0, 0.0), (10, 1.0), (20, 5.0)]
    assert curve_of(adapting(points, 5.0, 10), "adaptation") == [(0, 0.0), (10, 1.0)]
    assert curve_of(adapting(points, 5.0), "adaptation") == [(0, 0.0), (10, 1.0)]


def test_numbers_of_curves() -> None:
    report = adapting({0: 99.0, 1: 1.0, 2: 2.0, 3: 3.0, 4: 4.0, 5: 5.0}, 9.0, 6)
    assert measured(report, claim("early")) == pytest.approx(1.5)
    assert measured(report, claim("trend")) == pytest.approx(7.0 - 1.5)
    points = [1, 2, 3, 4, 5, 9]
    spread = (sum((x - 4) ** 2 for x in points) / 6) ** 0.5
    assert measured(report, claim("spread")) == pytest.approx(spread)
    assert measured(adapting({0: 1.0}, 2.0, 3), claim("trend")) is None, "one point is no curve"


def test_the_curve_of_meta_training() -> None:
    report = synthetic(3)
    curve = curve_of(report, "training")
    assert [step for step, _ in curve] == [point.step for point in report.training_curve]
    rising = measured(report, claim("trend", curve="training"))
    assert rising is not None
    assert rising > 0
    assert measured(bare(), claim("trend", curve="training")) is None
