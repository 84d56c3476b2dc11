"""The health of a run: every check passes, warns and fails where it should, and is left out without its figures."""

from __future__ import annotations

import io
from typing import Any

import pytest
from reports import Page, bare, synthetic
from rich.cells import cell_len
from rich.console import Console

from merpo.data.coverage import Coverage
from merpo.report.health import Check, Figures, judge
from merpo.report.html import build_report_html
from merpo.report.report import Report
from merpo.report.text import health_summary, print_summary

TASKS = [40, 41, 42]
SOUND = Coverage(
    outside=[(0, 0.002), (1, 0.004), (0, 0.0)], episodes=[60, 60, 60], training_episodes=[50, 60],
    vary=[True] * 5, at_bounds=[0.0, 0.1, 0.0],
)  # fmt: skip
SCORES: dict[str, list[float]] = {
    "model_error": [0.01, 0.02, 0.01], "model_error_worst": [0.1, 0.2, 0.1], "model_worst_dim": [0.0, 1.0, 3.0],
    "clone_gain": [0.001, -0.01, 0.0], "q_mean": [-5.0, -6.0, -5.0], "q_floor": [-50.0] * 3, "q_ceiling": [-1.0] * 3,
    "q_outside": [0.0, 0.01, 0.0], "q_growth": [0.01, 0.0, -0.1], "at_bounds": [0.0, 0.2, 0.1],
    "pull_q": [0.5, 0.4, 0.6], "pull_clone": [0.2, 0.2, 0.1], "pull_meta": [0.2, 0.3, 0.2],
    "unknown": [0.01, 0.03, 0.02], "return_gap": [0.1, -0.4, 0.2], "return_gap_error": [0.2, 0.2, 0.2],
}  # fmt: skip
RETURNS = {"behavior": [-12.0] * 3, "clone": [-10.0, -10.0, -9.0], "clone_drawn": [-3.0] * 3,
           "meta_policy": [-8.0] * 3, "adapted": [-7.0, -6.0, -7.5]}  # fmt: skip
WELL = Figures(TASKS, ["level", "flow", "valve", "reward"], 2, SOUND, SCORES, RETURNS)
NAMES = ["episodes", "rewards", "actions", "range of the data", "model", "returns of the model", "reach of the policy",
         "clone", "Q",
         "growth of Q", "pull on the policy", "meta-policy against the clone", "policy against the clone"]  # fmt: skip


def checks(figures: Figures) -> dict[str, Check]:
    return {check.name: check for check in judge(figures)}


def with_scores(**changes: list[float]) -> Figures:
    return WELL._replace(scores={**SCORES, **changes})


def with_data(**changes: Any) -> Figures:
    return WELL._replace(coverage=SOUND._replace(**changes))


def with_returns(**changes: list[float]) -> Figures:
    return WELL._replace(returns={**RETURNS, **changes})


def test_a_healthy_run_passes_every_check_without_advice() -> None:
    found = judge(WELL)
    assert [check.name for check in found] == NAMES
    assert {(check.status, check.advice) for check in found} == {("pass", "")}
    assert all(check.values for check in found)


@pytest.mark.parametrize(
    ("figures", "name", "status", "text"),
    [
        (with_data(episodes=[60, 4, 60]), "episodes", "warning", "collect more episodes"),
        (with_data(training_episodes=[1, 60]), "episodes", "failure", "1 for each training task"),
        (with_data(vary=[True] * 4 + [False]), "rewards", "warning", "vary in 4 of 5 tasks"),
        (with_data(vary=[True] + [False] * 4), "rewards", "failure", "vary in 1 of 5 tasks"),
        (with_data(vary=[False] * 5), "rewards", "failure", "no action is better than another"),
        (with_data(vary=[True]), "rewards", "pass", "vary in all 1 tasks"),
        (with_data(at_bounds=[0.0, 0.0, 0.6]), "actions", "warning", "60% of the logged ones at their bounds (task"),
        (with_scores(at_bounds=[0.0, 0.9, 0.0]), "actions", "warning", "the policy saturates"),
        (with_data(outside=[(0, 0.0), (2, 0.2), (0, 0.0)]), "range of the data", "warning", "(valve of task 41)"),
        (with_data(outside=[(3, 0.9), (2, 0.2), (0, 0.0)]), "range of the data", "failure", "(reward of task 40)"),
        (with_scores(model_error=[0.1, 0.6, 0.1]), "model", "warning", "0.6 times that of predicting the mean (task"),
        (with_scores(model_error=[0.1, 0.1, 1.2]), "model", "failure", "train the models longer"),
        (with_scores(model_error_worst=[0.1, 0.95, 0.1]), "model", "warning", "worst dimension flow with 0.95 (task"),
        (with_scores(model_error_worst=[0.1, 0.1, 0.95], model_worst_dim=[0.0, 0.0, 2.0]), "model", "warning",
         "worst dimension reward"),
        (with_scores(return_gap=[0.1, 0.2, 2.1]), "returns of the model", "warning", "2.1 standard deviations more"),
        (with_scores(return_gap=[0.1, -4.0, 2.1]), "returns of the model", "failure", "4 standard deviations less"),
        (with_scores(return_gap=[2.0, 0.1, 1.1], return_gap_error=[0.7, 0.2, 0.2]), "returns of the model", "warning",
         "1.1 standard deviations more than"),
        (with_scores(unknown=[0.0, 0.0, 0.3]), "reach of the policy", "warning", "up to 30.0% of the policy's steps"),
        (with_scores(unknown=[0.0, 0.7, 0.3]), "reach of the policy", "failure", "method.rac.halt should be true"),
        (with_scores(clone_gain=[0.0, 0.05, 0.0]), "clone", "warning", "+0.05 per dimension (task 41)"),
        (with_scores(clone_gain=[0.3, 0.05, 0.0]), "clone", "failure", "raise method.behavior.steps"),
        (with_scores(q_outside=[0.0, 0.0, 0.2]), "Q", "warning", "20% of rows outside (task 42)"),
        (with_scores(q_mean=[-5.0, 3.0, -5.0]), "Q", "failure", "3.00 on the mean, where rewards allow -50.00 to -1"),
        (with_scores(q_mean=[-5.0, 3.0, -5.0]), "Q", "failure", "raise β"),
        (with_scores(q_mean=[-80.0, -5.0, -5.0]), "Q", "failure", "lower β"),
        (with_scores(q_growth=[0.0, 0.2, 0.0]), "growth of Q", "warning", "20.0% of what rewards allow (task 41)"),
        (with_scores(q_growth=[2.0, 0.2, 0.0]), "growth of Q", "failure", "Q runs away"),
        (with_scores(pull_q=[0.02] * 3), "pull on the policy", "warning", "λ drowns Q"),
        (with_scores(pull_q=[0.001] * 3), "pull on the policy", "failure", "λ drowns Q"),
        (with_scores(pull_clone=[0.01] * 3, pull_meta=[0.01] * 3), "pull on the policy", "warning", "nothing holds"),
        (with_returns(meta_policy=[-11.0, -10.0, -9.0]), "meta-policy against the clone", "warning", "below on 1 of 3"),
        (with_returns(adapted=[-11.0, -10.5, -8.5]), "policy against the clone", "warning", "below on 2 of 3 tasks"),
        (with_returns(adapted=[-13.0, -12.0, -12.0]), "policy against the clone", "failure", "use the clone"),
        (WELL._replace(stochastic=True), "policy against the clone", "failure", "below on 3 of 3 tasks"),
    ],
)  # fmt: skip
def test_a_check_warns_and_fails_and_names_the_place(figures: Figures, name: str, status: str, text: str) -> None:
    found = checks(figures)
    check = found.pop(name)
    assert check.status == status
    assert text in f"{check.figure}; {check.advice}"
    assert bool(check.advice) == (status != "pass")
    if not figures.stochastic:
        assert {other.status for other in found.values()} == {"pass"}, "only this one is changed"


def test_early_stopping_says_at_which_step_it_was() -> None:
    stopped = with_scores(clone_steps=[300.0, 1200.0, 500.0], model_steps=[700.0, 650.5, 900.0])
    assert checks(stopped)["clone"].figure.endswith("; kept after 300 to 1,200 steps")
    assert checks(stopped)["model"].figure.endswith("; kept after 650 to 900 steps")
    assert "kept" not in checks(WELL)["clone"].figure


def test_a_check_without_figures_is_left_out() -> None:
    assert judge(Figures()) == []
    assert list(checks(WELL._replace(scores={}))) == [name for name in NAMES if name not in NAMES[4:11]]
    assert "policy's" not in checks(WELL._replace(scores={}))["actions"].figure
    assert list(checks(WELL._replace(coverage=None, returns={}))) == NAMES[4:11]
    alone = WELL._replace(coverage=SOUND._replace(outside=[], training_episodes=[]))
    assert "range of the data" not in checks(alone)
    assert checks(alone)["episodes"].figure == "at least 60 for each unseen task"


def test_what_was_not_measured_is_unknown() -> None:
    figures = WELL._replace(returns={"behavior": RETURNS["behavior"]}, has_environment=False)
    check = checks(figures)["policy against the clone"]
    assert (check.status, check.figure) == ("warning", "unknown without an environment")
    assert "meta-policy against the clone" not in checks(figures)
    assert "policy against the clone" not in checks(figures._replace(scores={})), "a method without a clone"


def test_one_task_is_no_failure_by_itself() -> None:
    one = Figures([7], returns={"clone": [-1.0], "adapted": [-2.0]})
    check = checks(one)["policy against the clone"]
    assert (check.status, check.figure) == ("warning", "-1.00; below on 1 of 1 tasks")


def report_with(figures: Figures) -> Report:
    return synthetic(3).model_copy(update={"health": judge(figures)})


def printed(report: Report, width: int) -> list[str]:
    text = io.StringIO()
    print_summary(report, Console(file=text, width=width, force_terminal=True, color_system=None, legacy_windows=False))
    return text.getvalue().splitlines()


SICK = with_scores(model_error=[0.1, 0.1, 1.2], clone_gain=[0.0, 0.05, 0.0])


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_the_terminal_has_a_line_per_check_and_advice_where_one_is_needed(width: int) -> None:
    lines = printed(report_with(SICK), width)
    assert max(map(cell_len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    assert "Health of this run: 11 of 13 checks passed, 1 warning, 1 failure; docs/tuning.md explains them" in text
    assert "failure model: held-out error up to 1.2 times that of predicting the mean (task 42)" in text
    assert "An error near 1 knows nothing: train the models longer" in text
    healthy = printed(report_with(WELL), 200)
    at = next(i for i, line in enumerate(healthy) if line.startswith("Health of this run: 13 of 13 checks passed"))
    assert [line.split()[0] for line in healthy[at + 1 :]] == ["pass"] * 13, "a healthy run is short"


def test_the_page_and_the_file_have_the_checks_and_older_reports_have_none() -> None:
    report = report_with(SICK)
    text = Page(build_report_html(report)).text
    for shown in ("Health of this run", "pull on the policy", "raise method.behavior.steps", "11 of 13 checks passed"):
        assert shown in text
    assert Report.model_validate_json(report.to_json()) == report
    assert report.to_json().count('"status": "pass"') == 11
    assert "Health of this run" not in Page(build_report_html(bare())).text
    assert not any("Health" in line for line in printed(bare(), 80))


def test_checks_are_counted() -> None:
    every = judge(WELL)
    assert health_summary(every) == "13 of 13 checks passed"
    bad = [Check(name="a", status="failure", figure="b", advice="c")] * 2
    assert health_summary([*every, *bad]) == "13 of 15 checks passed, 2 failures; docs/tuning.md explains them"
