"""Return, length and termination rate of every policy on every task, from the data and from evaluations to the page."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from command import Answer
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from strategies import make_dataset
from tiny import tiny_recipe

from merpo.evaluation.episode_stats import EpisodeStats, of_data, of_evaluation
from merpo.evaluation.evaluate import Evaluation
from merpo.report.html import COLUMNS, build_report_html, episodes_csv, write_report
from merpo.report.policies import POLICIES
from merpo.report.report import Report, load_report, means
from merpo.report.text import print_summary
from merpo.run.run import run_recipe

RECIPE = {"tasks": {"component": "walker-2d-params", "horizon": 12}, "evaluate": {"episodes": 3}}


@given(st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=1, max_size=5), st.integers(0, 10))
def test_the_datas_episodes_are_counted_as_a_loop_counts_them(episodes: list[tuple[int, bool]], seed: int) -> None:
    data = make_dataset([n for n, _ in episodes], [end for _, end in episodes], 3, 2, seed)
    found = of_data(data)
    returns, at = [], 0
    for length, _ in episodes:
        returns.append(sum(data.rewards[at : at + length].tolist()))
        at += length
    mean = sum(returns) / len(returns)
    assert found.episodes == len(episodes)
    assert found.return_mean == pytest.approx(mean, abs=1e-5)
    assert found.return_std == pytest.approx((sum((r - mean) ** 2 for r in returns) / len(returns)) ** 0.5, abs=1e-5)
    assert found.length == pytest.approx(sum(n for n, _ in episodes) / len(episodes))
    assert found.termination_rate == pytest.approx(sum(end for _, end in episodes) / len(episodes))


def test_an_evaluations_task_is_the_one_asked_for() -> None:
    numbers = torch.tensor([[1.0, 3.0], [5.0, 5.0]])
    found = of_evaluation(Evaluation(numbers, 10 * numbers, torch.tensor([[0.0, 1.0], [1.0, 1.0]]), [[], []]), 0)
    assert found == EpisodeStats(episodes=2, return_mean=2.0, return_std=1.0, length=20.0, termination_rate=0.5)


def report() -> Report:
    def stats(length: float, rate: float) -> dict[str, Any]:
        return {"episodes": 4, "return_mean": 1.5, "return_std": 0.25, "length": length, "termination_rate": rate}

    tasks = [
        {"index": i, "behavior": 0.0, "adapted": 1.0, "episodes": {"behavior": stats(200, 0), "adapted": stats(*own)}}
        for i, own in ((7, (20, 1.0)), (8, (60, 0.5)))
    ]
    return Report.model_validate({"title": "t", "seed": 0, "tasks": tasks})


def test_the_table_has_a_line_per_task_and_policy() -> None:
    rows = list(csv.DictReader(io.StringIO(episodes_csv(report().tasks))))
    assert tuple(rows[0]) == COLUMNS
    assert [(row["task"], row["policy"], row["termination_rate"]) for row in rows] == [
        ("7", "behavior", "0.0"), ("7", "adapted", "1.0"), ("8", "behavior", "0.0"), ("8", "adapted", "0.5"),
    ]  # fmt: skip


def test_means_page_and_terminal_say_how_many_ended(tmp_path: Path) -> None:
    found = means(report().tasks)
    assert (found["adapted"].length, found["adapted"].termination_rate, found["adapted"].episodes) == (40.0, 0.75, 8)
    page = build_report_html(report())
    assert "<td>40.0</td><td>75%</td>" in page
    assert "Episodes on every unseen task" in page
    console = Console(file=io.StringIO(), width=200)
    print_summary(report(), console)
    assert "behaviour 0% of 200 steps, adapted 75% of 40 steps" in console.file.getvalue()  # type: ignore[attr-defined]
    write_report(report(), tmp_path)
    assert load_report(tmp_path / "report.json") == report()
    assert (tmp_path / "episodes.csv").read_text("utf-8") == episodes_csv(report().tasks)


def test_a_report_without_episodes_is_still_shown() -> None:
    old = Report.model_validate({"title": "t", "seed": 0, "tasks": [{"index": 0, "behavior": 0.0, "adapted": 1.0}]})
    assert means(old.tasks) == {}
    assert "<h2>Episodes" not in build_report_html(old)


def test_a_run_of_bodies_that_fall_has_every_policys_numbers(merpo_cli: Callable[..., Answer], tmp_path: Path) -> None:
    run_recipe(tiny_recipe(RECIPE), tmp_path / "run", [0], None, True)
    tasks = load_report(tmp_path / "run" / "report.json").tasks
    for task in tasks:
        known = set(POLICIES) - {"oracle"}
        assert set(task.episodes) == known
        assert task.episodes["behavior"].return_mean == pytest.approx(task.returns["behavior"], abs=1e-4)
        assert task.episodes["adapted"].return_mean == pytest.approx(task.returns["adapted"], abs=1e-4)
        assert (task.episodes["behavior"].episodes, task.episodes["adapted"].episodes) == (4, 3)
        for stats in task.episodes.values():
            assert 1 <= stats.length <= 12
            assert stats.length == 12 or stats.termination_rate > 0
    answer = merpo_cli("evaluate", str(tmp_path / "run"), "--out", "e.json")
    assert answer.code == 0, answer.err
    assert "terminated" in answer.out
    for task, measured in zip(tasks, json.loads(Path("e.json").read_text("utf-8"))["tasks"], strict=True):
        rate = sum(measured["terminated"]) / 3
        assert rate == pytest.approx(task.episodes["adapted"].termination_rate)
        assert f"{task.episodes['adapted'].length:.1f}" in answer.out
