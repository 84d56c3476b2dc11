"""The table of policies: a further one is an entry of it and shows everywhere; files keep their flat fields."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from reports import Page, bare, synthetic
from rich.console import Console

from merpo.evaluation.episode_stats import EpisodeStats
from merpo.report.figures.style import color_of
from merpo.report.html import pictures, write_report
from merpo.report.policies import FILE_ORDER, POLICIES, ReportedPolicy, stored_fields
from merpo.report.report import CurvePoint, Report, TaskReport, load_report, means
from merpo.report.text import combine, print_combined, print_summary, verdict
from merpo.run.evaluate import Measured, MeasuredTask, print_measured
from merpo.sweep.summary import JobRow

RANDOM = ReportedPolicy(
    "random actions",
    "policies of random actions",
    baseline="random actions",
    counted="random policy",
    gap="random policy",
    scored=True,
    in_training=True,
    color="#cc79a7",
    marker="v",
)
LATER = ["clone", "clone_drawn", "meta_policy_drawn", "adapted_drawn"]
TASK = ["index", "params", "behavior", "behavior_mode", "adapted", "meta_policy", "oracle", *LATER, "snapshots",
        "reference", "episodes", "trajectories", "gap_closed", "normalized"]  # fmt: skip
SUMMARY = ["tasks", "seeds", "behavior", "behavior_mode", "adapted", "meta_policy", "oracle", *LATER, "gap_closed",
           "gap_closed_by_meta_policy", "adapted_minus_behavior", "adapted_minus_behavior_mode",
           "adapted_minus_meta_policy", "adapted_minus_clone", "worse_than_behavior",
           "worse_than_meta_policy", "seeds_of", "data_sets"]  # fmt: skip
MEASURED = ["name", "index", "returns", "lengths", "terminated", "behavior", "behavior_mode", "meta_policy", "oracle",
            *LATER, "reported", "reference", "normalized"]  # fmt: skip
JOB = ["variant", "seed", "status", "exit_code", "seconds", "behavior", *LATER[:2], "meta_policy", LATER[2], "adapted",
       LATER[3], "oracle", "gap_closed", "folder", "log", "reason"]  # fmt: skip


@pytest.fixture
def random_policy(monkeypatch: pytest.MonkeyPatch) -> Report:
    """A report of runs whose returns of random actions were measured, too."""
    monkeypatch.setitem(POLICIES, "random", RANDOM)
    data: dict[str, Any] = json.loads(synthetic(4).to_json())
    for i, task in enumerate(data["tasks"]):
        task["random"] = -31.25 - i
        task["reference"] = {"random": -40.0, "expert": -5.0, "source": "us"}
        task["episodes"] = {
            key: {"episodes": 2, "return_mean": task[key], "return_std": 0, "length": 20, "termination_rate": 1}
            for key in ("behavior", "adapted", "random")
        }
        task["trajectories"]["random"] = [(0.0, 0.0), (0.3, 0.9)]
    for point in data["training_curve"]:
        point["random"] = [-31.25] * 4
    return Report.model_validate(data)


def terminal() -> Console:
    return Console(file=io.StringIO(), width=200)


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_further_policy_is_in_the_files(random_policy: Report, tmp_path: Path) -> None:
    page = Page(write_report(random_policy, tmp_path).read_text(encoding="utf-8"))
    assert load_report(tmp_path / "report.json") == random_policy
    stored = json.loads((tmp_path / "report.json").read_text())
    task, summary = stored["tasks"][1], stored["summary"]
    assert list(task) == [*TASK[:11], "random", *TASK[11:]]
    assert task["random"] == -32.25
    assert task["normalized"]["random"] == pytest.approx(100 * (40 - 32.25) / 35)
    assert stored["training_curve"][0]["random"] == [-31.25] * 4
    assert summary["random"]["mean"] == -32.75
    assert summary["gap_closed_by_random"]["mean"] < 0 < summary["adapted_minus_random"]["mean"]
    assert summary["worse_than_random"] == 0
    rows = list(csv.DictReader((tmp_path / "episodes.csv").read_text().splitlines()))
    assert [row["return"] for row in rows if row["policy"] == "random"] == ["-31.25", "-32.25", "-33.25", "-34.25"]
    for text in ("policies of random actions", "adapted minus random actions", "gap closed by the random policy",
                 "tasks no worse than the random policy", "-33.25"):  # fmt: skip
        assert text in page.text
    assert page.text.count("random actions") >= 6, "the summary, and the columns of every table"


def test_a_further_policy_is_on_the_terminal(random_policy: Report) -> None:
    console = terminal()
    print_summary(random_policy, console)
    text = written(console)
    assert "oracle | random actions |" in text
    assert "-33.25" in text
    assert "random actions 100% of 20 steps" in text
    assert re.search(r"normalised scores, .*: behaviour .*, adapted .*, random actions 20.71", text)
    said = verdict(random_policy.summary)
    assert " over random actions." in said
    assert "It is worse than the behaviour policy on none, than the meta-policy on " in said
    assert ", and than the random policy on none, of 4 unseen tasks" in said
    seeds = [random_policy, random_policy.model_copy(update={"seed": 1})]
    console = terminal()
    assert print_combined(seeds, console) == combine(seeds)
    assert "policies of random actions" in written(console)


def test_a_further_policy_is_in_the_figures(random_policy: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (color_of("random"), list(means(random_policy.tasks))) == ("#cc79a7", ["behavior", "adapted", "random"])
    with_it = {picture.name: picture for picture in pictures(random_policy)}
    assert "random actions" in with_it["per_task_returns"].alt
    monkeypatch.delitem(POLICIES, "random")
    without = {picture.name: picture for picture in pictures(random_policy)}
    for name in ("per_task_returns", "return_over_training", "adaptation_steps", "trajectories"):
        assert with_it[name].data != without[name].data
    assert with_it["duals"].data == without["duals"].data


def test_a_further_policy_is_measured_again(random_policy: Report) -> None:
    task = MeasuredTask(
        name="task-0", index=0, returns=[-1.0], lengths=[1], terminated=[False], others={"random": -31.25}
    )
    stored = json.loads(task.model_dump_json())
    assert list(stored) == [*MEASURED[:13], "random", *MEASURED[13:]]
    assert MeasuredTask.model_validate(stored) == task
    console = terminal()
    mean = random_policy.summary.returns["adapted"]
    print_measured(Measured(source="", seed=0, episodes=1, stochastic=False, tasks=[task], mean=mean), console)
    assert "| random actions |" in written(console)
    assert stored_fields(JobRow) == [*JOB[:13], "random", *JOB[13:]]


def test_files_have_the_fields_that_they_always_had() -> None:
    stored = json.loads(synthetic(2).to_json())
    assert list(stored["tasks"][0]) == TASK
    assert list(stored["summary"]) == SUMMARY
    assert list(stored["training_curve"][0]) == ["step", "adapted", "meta_policy"]
    task = MeasuredTask(name="", index=0, returns=[-1.0], lengths=[1], terminated=[False], others={})
    assert list(task.model_dump()) == MEASURED
    assert stored_fields(JobRow) == JOB
    assert set(FILE_ORDER) == set(POLICIES) - set(LATER), "what came later follows"


def test_what_was_not_measured_is_null_and_absent() -> None:
    report = bare()
    stored = json.loads(report.to_json())
    assert (stored["tasks"][0]["oracle"], stored["summary"]["oracle"]) == (None, None)
    assert Report.model_validate(stored).tasks[0].returns == {"behavior": -2.0, "adapted": -1.0}
    assert CurvePoint.model_validate({"step": 1, "adapted": [1.0]}).model_dump() == {
        "step": 1,
        "adapted": [1.0],
        "meta_policy": [],
    }


def test_a_task_without_the_return_of_its_data_is_refused() -> None:
    with pytest.raises(ValueError, match="behavior"):
        TaskReport.model_validate({"index": 0, "adapted": 1.0})
    stats = EpisodeStats(episodes=1, return_mean=0, return_std=0, length=1, termination_rate=0)
    assert TaskReport(index=0, returns={"behavior": 0.0}, episodes={"behavior": stats}).gap_closed is None
