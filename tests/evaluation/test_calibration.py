"""merpo.evaluation.calibration: Q at the starts of episodes beside the discounted returns that were earned."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
from finished import finished_run
from reports import synthetic
from rich.console import Console
from tiny import tiny_recipe

from merpo.artifacts.artifact import load_artifact
from merpo.components.context import Adapted
from merpo.evaluation.calibration import Calibration, calibration
from merpo.evaluation.evaluate import evaluate
from merpo.report.html import build_report_html
from merpo.report.report import load_report
from merpo.report.text import print_summary


def test_discounted_returns_are_sums_of_discounted_rewards() -> None:
    """Episode by episode, by hand: actions 0 in the first task, as far as they go in the second."""
    recipe = tiny_recipe()
    family, gamma = recipe.tasks, torch.tensor([0.5, 0.9])
    tasks, _ = family.tasks(2, 0)
    force = torch.tensor([0.0, 1.0]).view(2, 1, 1)
    found = evaluate(family, tasks, lambda s: (0 * s + force)[..., :2], 3, 7, discount=gamma)
    assert found.begun is not None
    for t, task in enumerate(tasks):
        for e in range(3):
            env = family.make(task)
            start, _ = env.reset(seed=7 + e)
            assert found.begun.observations[t, e].tolist() == pytest.approx(start.tolist())
            assert found.begun.actions[t, e].tolist() == [float(t)] * 2
            total, factor, over = 0.0, 1.0, False
            while not over:
                _, reward, ended, cut, _ = env.step(found.begun.actions[t, e].numpy())
                total, factor, over = total + factor * float(reward), factor * float(gamma[t]), ended or cut
            assert float(found.begun.discounted[t, e]) == pytest.approx(total, rel=1e-5)
    assert evaluate(family, tasks, lambda s: s[..., :2], 1, 7).begun is None


def test_a_run_has_what_its_critics_expected(store: Path, tmp_path: Path) -> None:
    """The stored critics at the starts of the environments, in units of reward, and the run's own discount."""
    folder = finished_run(store, tmp_path / "run")
    report, recipe = load_report(folder / "report.json"), tiny_recipe()
    groups = load_artifact(folder / "artifacts" / "adapted.safetensors")[0]
    adapted = Adapted(groups["policy"], {}, {}, {}, groups, {})
    for t, (task, row) in enumerate(zip(report.tasks, report.calibration.rows(), strict=True)):
        start, _ = recipe.tasks.make(task.params).reset(seed=0)
        states = torch.tensor(start).expand(len(report.tasks), 1, -1)
        actions = recipe.method.act(adapted.policy, states)
        values = recipe.method.value(adapted, states, actions)
        assert values is not None
        assert row.expected == pytest.approx(float(values[t, 0]), rel=1e-4)
        assert row.discount == pytest.approx(float(groups["scales"]["discount"]))
        assert task.returns["adapted"] <= row.earned < 0, "rewards are negative, and later ones count less"


def test_critics_without_finite_values_are_not_compared() -> None:
    one = torch.ones(2, 3)
    assert calibration(torch.tensor([0.9, 0.9]), one / 0, one) == Calibration()
    assert calibration(torch.tensor([0.9, 0.8]), 2 * one, 3 * one).rows() == [
        (pytest.approx(0.9), 2.0, 3.0),
        (pytest.approx(0.8), 2.0, 3.0),
    ]


def test_it_is_on_the_page_and_on_the_terminal() -> None:
    report = synthetic(2).model_copy(
        update={"calibration": Calibration(discount=[0.9, 0.9], expected=[12.5, 14.5], earned=[3.25, 4.25])}
    )
    page = build_report_html(report)
    assert "What critics expected" in page
    assert "12.50" in page
    text = io.StringIO()
    print_summary(report, Console(width=200, file=text))
    assert "critics expect 13.50 of the adapted policies" in text.getvalue()
    assert "these earned 3.75, discounted" in text.getvalue()
    assert "What critics expected" not in build_report_html(synthetic(2))
