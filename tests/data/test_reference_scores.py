"""Normalised scores: whose reference they go by, and where they are shown."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command import Answer
from hypothesis import given
from hypothesis import strategies as st
from minari_locomotion import ENVIRONMENTS, write_locomotion
from placed import place
from reports import synthetic, with_returns
from rich.console import Console

from merpo.compare.comparison import compare_runs
from merpo.compare.comparison_files import write_comparison
from merpo.compare.results import Results, read_results, results_of
from merpo.compare.results_page import results_page
from merpo.data.catalog import DatasetEntry
from merpo.data.minari.exports import export_minari
from merpo.data.minari.imports import import_minari
from merpo.data.reference_scores import ReferenceScores, minari_reference, stored_reference
from merpo.errors import MerpoError
from merpo.report.html import build_report_html, write_report
from merpo.report.report import Report, load_report
from merpo.report.text import print_summary, scores_line
from merpo.run.evaluate import Measured, MeasuredTask, print_measured
from merpo.support.statistics.estimate import student

PUBLISHED = {  # https://github.com/Farama-Foundation/D4RL, d4rl/infos.py
    "halfcheetah": (-280.178953, 12135.0), "hopper": (-20.272305, 3234.3), "walker2d": (1.629008, 4592.3),
}  # fmt: skip
HALF = ReferenceScores(random=-20.0, expert=0.0, source="D4RL")


@pytest.fixture(autouse=True)
def _surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    monkeypatch.setattr("merpo.report.html.pictures", lambda report: [])  # they have tests of their own


def imported(body: str, said: list[str] | None = None, **more: Any) -> ReferenceScores | None:
    """What is stored with a dataset that Minari wrote."""
    write_locomotion(body, episodes=1, **more)
    import_minari([f"mujoco/{body}/medium-v0"], note=(said if said is not None else []).append)
    return stored_reference(DatasetEntry(f"minari-mujoco-{body}", "medium-v0").manifest().settings)


def with_references(report: Report, *references: ReferenceScores | None) -> Report:
    """The report with a reference for each task, the last one for all that follow."""
    given = [*references, *[references[-1]] * len(report.tasks)]
    tasks = [task.model_copy(update={"reference": one}) for task, one in zip(report.tasks, given, strict=False)]
    return report.model_copy(update={"tasks": tasks})


@given(low=st.floats(-1e4, 1e4), width=st.floats(1e-2, 1e4), share=st.floats(-2, 3))
def test_random_is_0_and_the_expert_100(low: float, width: float, share: float) -> None:
    scores = ReferenceScores(random=low, expert=low + width, source="x")
    assert scores.normalized(scores.random) == 0.0
    assert scores.normalized(scores.expert) == pytest.approx(100.0)
    assert scores.normalized(low + share * width) == pytest.approx(100 * share, abs=1e-6 * (1 + abs(low)) / width)


@pytest.mark.parametrize("body", ENVIRONMENTS)
def test_d4rls_where_the_dataset_has_none(body: str) -> None:
    low, high = PUBLISHED[body]
    assert imported(body) == ReferenceScores(random=low, expert=high, source="D4RL")


def test_the_datasets_own_come_first_and_go_back_to_minari() -> None:
    expected = ReferenceScores(random=5.0, expert=400.0, source="metadata of mujoco/hopper/medium-v0")
    assert imported("hopper", eval_env="Hopper-v5", ref_min_score=5.0, ref_max_score=400.0) == expected
    (name,) = export_minari([DatasetEntry("minari-mujoco-hopper", "medium-v0")], "back", note=lambda text: None)
    import_minari([name], note=lambda text: None)
    again = stored_reference(DatasetEntry("minari-back", "medium-v0-v0").manifest().settings)
    assert again == expected.model_copy(update={"source": f"metadata of {name}"})


@pytest.mark.parametrize(
    "pair", [(1.0, None), (None, 1.0), (2.0, 2.0), (3.0, 2.0), ("0", "1"), (True, 5), (0, 1e999), (0, 10**400)]
)
def test_numbers_that_make_no_sense_are_told_and_none_take_their_place(pair: tuple[Any, Any]) -> None:
    said: list[str] = []
    metadata = dict(zip(("ref_min_score", "ref_max_score"), pair, strict=True))
    assert minari_reference(metadata, {"environment": "Hopper-v5"}, "a/b-v0", said.append) is None
    assert len(said) == 1
    assert said[0].startswith("minari:a/b-v0: ref_min_score and ref_max_score are [")


@pytest.mark.parametrize("environment", ["Pusher-v5", "Hopper", "hopper-v5", "x/Hopper-v5", ""])
def test_other_environments_have_none(environment: str) -> None:
    assert minari_reference({}, {"environment": environment}, "a/b-v0", pytest.fail) is None


@pytest.mark.parametrize("settings", [{}, {"reference_scores": None}, {"reference_scores": {"random": 1.0}}])
def test_a_dataset_without_has_none(settings: dict[str, Any]) -> None:
    assert stored_reference(settings) is None


def test_a_report_shows_them_where_they_are(tmp_path: Path) -> None:
    report = with_references(synthetic(), HALF)
    path = write_report(report, tmp_path)
    found = load_report(tmp_path / "report.json")
    told = json.loads((tmp_path / "report.json").read_text("utf-8"))["tasks"]
    for task, row in zip(found.tasks, told, strict=True):
        assert task.returns.get("adapted") is not None
        assert row["normalized"]["adapted"] == pytest.approx(100 * (task.returns["adapted"] + 20) / 20)
        assert set(row["normalized"]) == {"behavior", "meta_policy", "adapted"}
    page = path.read_text("utf-8")
    assert "<h2>Normalised scores</h2>" in page
    assert page.count("<td>D4RL</td>") + page.count(">D4RL<") >= len(report.tasks)
    text = io.StringIO()
    print_summary(found, Console(file=text, width=200))
    mean = sum(row["normalized"]["adapted"] for row in told) / len(told)
    assert "normalised scores, 0 random and 100 expert by D4RL: behaviour " in text.getvalue()
    assert f"adapted {mean:.2f}" in text.getvalue()


def test_tasks_without_are_left_out() -> None:
    assert scores_line(synthetic().tasks) == ""
    assert "Normalised scores" not in build_report_html(synthetic())
    other = ReferenceScores(random=0.0, expert=1.0, source="<b>")
    some = with_references(synthetic(), HALF, other, None)
    assert scores_line(some.tasks) == ""
    section = build_report_html(some).partition("Normalised scores")[2].partition("<h2>")[0]
    assert section.count("<tr>") == 3  # the head, and two tasks
    assert "&lt;b&gt;" in section
    assert " by D4RL and <b>: " in scores_line(with_references(synthetic(), HALF, other).tasks)
    first = synthetic().tasks[0]
    alone = with_returns(first, adapted=None, meta_policy=None).model_copy(update={"reference": HALF})
    assert set(alone.normalized) == {"behavior"}


def test_what_is_measured_anew_has_them() -> None:
    found = [
        MeasuredTask(name=f"task-{i}", index=i, returns=[-10.0 - i], lengths=[5], terminated=[False], reference=one)
        for i, one in enumerate((HALF, HALF))
    ]
    assert found[0].normalized == {"adapted": 50.0}
    assert json.loads(found[1].model_dump_json())["normalized"] == {"adapted": 45.0}

    def printed(tasks: list[MeasuredTask]) -> str:
        text, mean = io.StringIO(), student([task.mean for task in tasks])
        measured = Measured(source="run", seed=0, episodes=1, stochastic=False, tasks=tasks, mean=mean)
        print_measured(measured, Console(file=text, width=200))
        return text.getvalue()

    both = printed(found)
    assert "| task   | return | normalised | length" in both
    assert "| task-1 | -11.00 |      45.00 |" in both
    assert "normalised scores, 0 random and 100 expert by D4RL: adapted 47.50" in both
    one = printed([found[0], found[1].model_copy(update={"reference": None})])
    assert "| task-1 | -11.00 |          - |" in one
    assert "normalised scores" not in one
    assert "normalised" not in printed([task.model_copy(update={"reference": None}) for task in found])


def test_a_table_of_runs_has_them(tmp_path: Path) -> None:
    other = ReferenceScores(random=-40.0, expert=60.0, source="metadata of x/y-v0")
    report = synthetic()
    bare = report.model_copy(update={"title": "bare", "recipe": {"a": 1}})
    half = with_references(report, HALF, None).model_copy(update={"title": "half", "recipe": {"a": 2}})
    seeds = [with_references(report, HALF, other).model_copy(update={"title": "all", "recipe": {}, "seed": i})
             for i in range(2)]  # fmt: skip
    for one in (bare, half, *seeds):
        place(tmp_path / one.title / str(one.seed), one)
    results = results_of([tmp_path])
    rows = {row.name: row for row in results.rows}
    assert rows["bare"].mean_normalized is rows["half"].mean_normalized is None
    scores = [task.normalized["adapted"] for task in seeds[0].tasks]
    assert rows["all"].mean_normalized is not None
    assert rows["all"].mean_normalized.mean == pytest.approx(sum(scores) / len(scores))
    assert rows["all"].mean_normalized.low is not None
    found = [task.mean_normalized.mean if task.mean_normalized else None for task in rows["all"].by_task()]
    assert found == pytest.approx(scores)
    assert [task.mean_normalized is None for task in rows["half"].by_task()] == [False] + [True] * (len(scores) - 1)
    page = results_page(results)
    assert re.search(r"\| recipe \| seeds \|.* worse \| normalised score \|\n", page)
    assert "\nA normalised score is 100 (J − random)/(expert − random)" in page
    assert "returns J, by D4RL and metadata of x/y-v0.\n" in page
    assert re.search(r"\| bare \| 1 \|.*\| – \|\n", page)
    assert stored_page(results, tmp_path) == page
    alone = results_page(results_of([tmp_path / "bare"]))
    assert "normalised" not in alone


def stored_page(results: Results, folder: Path) -> str:
    """The page of what was written to a file."""
    (folder / "rows.json").write_text(results.to_json(), "utf-8")
    return results_page(read_results(folder / "rows.json"))


def test_runs_are_compared_by_them(tmp_path: Path, merpo_cli: Callable[..., Answer]) -> None:
    report = synthetic()
    tasks = [with_returns(task, oracle=None) for task in report.tasks]
    bare = report.model_copy(update={"tasks": tasks})
    place(tmp_path / "runs" / "a", with_references(bare, HALF))
    found = compare_runs([tmp_path / "runs"])
    assert found.score == "normalized"
    assert found.arms[0].scores[0] == [HALF.normalized(value) for value in found.arms[0].returns[0]]
    page = write_comparison(found, tmp_path / "out").read_text("utf-8")
    assert "100 (J − random)/(expert − random)" in page
    answer = merpo_cli("compare", str(tmp_path / "runs"), "--score", "normalized", "--out", str(tmp_path / "again"))
    assert answer.code == 0, answer.err
    assert "normalised score on" in answer.out
    assert compare_runs([tmp_path / "runs"], "return").score == "return"
    place(tmp_path / "runs" / "b", bare.model_copy(update={"seed": 7}))
    assert compare_runs([tmp_path / "runs"]).score == "return", "not every task has them"
    with pytest.raises(MerpoError, match=r"score normalized: task .* has no reference scores; expected return"):
        compare_runs([tmp_path / "runs"], "normalized")
