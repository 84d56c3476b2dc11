"""From the runs of a figure to what is found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from figure_files import figure_tables, write_figure
from reports import synthetic
from tiny import write_tiny

from merpo.errors import MerpoError
from merpo.reproduce.check import ArmRuns
from merpo.reproduce.figure import Figure
from merpo.reproduce.files import read_source
from merpo.reproduce.picture import draw
from merpo.reproduce.plan import Experiment, plan
from merpo.reproduce.results import found_of, runs_of

PNG = b"\x89PNG"


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    return planned(tmp_path)


def planned(folder: Path, x: str = "arms") -> Experiment:
    write_tiny(folder / "tiny.toml")
    later = {"id": "later", "quote": "x", "source": "y", "not_yet": "needs FOCAL"}
    panels = [{"title": "one", "arms": ["low", "high"]}, {"title": "none", "arms": ["high"]}]
    claims = [*figure_tables()["claims"], later]
    source = read_source(str(write_figure(folder / "mine.toml", claims=claims, panels=panels, x=x)))
    assert isinstance(source.content, Figure)
    return plan(source, source.content, "winds", "small", [0, 1], folder / "out")


def arm(label: str, *tasks: int) -> ArmRuns:
    """An arm of one run for each number of unseen tasks."""
    return ArmRuns(label, {seed: synthetic(count, 0) for seed, count in enumerate(tasks)}, "low")


def test_runs_on_different_tasks_are_not_compared(experiment: Experiment) -> None:
    with pytest.raises(
        MerpoError, match=r"has the unseen tasks \[40, 41\], .* only runs on the same tasks can be compared"
    ):
        found_of(experiment, {"low": arm("low α", 3, 3), "high": arm("high α", 3, 2)})


def test_what_was_found(experiment: Experiment) -> None:
    found = found_of(experiment, {"low": arm("low α", 3, 3), "high": arm("high α", 3, 3)})
    assert [claim.verdict for claim in found.claims] == ["cannot be told", "not yet"]
    assert [(one.id, one.runs) for one in found.arms] == [("low", 2), ("high", 2)]
    assert (found.key, found.seeds, found.own_data) == (("mine", "winds", "small"), (0, 1), False)
    assert found.minutes == pytest.approx((21 + 120.5 + 14.2) / 60, abs=0.01)


def test_without_runs_nothing_is_told(experiment: Experiment) -> None:
    arms = runs_of(experiment)
    assert {name: dict(one.reports) for name, one in arms.items()} == {"low": {}, "high": {}}
    found = found_of(experiment, arms)
    assert [claim.verdict for claim in found.claims] == ["not run", "not yet"]
    assert (found.covers, found.minutes) == ("", None)


@pytest.mark.parametrize("x", ["arms", "adaptation", "training"])
@pytest.mark.parametrize("seeds", [(3,), (3, 3)])
def test_every_picture_is_drawn(tmp_path: Path, x: str, seeds: Sequence[int]) -> None:
    arms = {"low": arm("low $α_", *seeds), "high": ArmRuns("high α", {}, "low")}
    assert draw(planned(tmp_path, x), arms).startswith(PNG)
