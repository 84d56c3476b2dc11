"""recipes/your_data.toml on logs of the foreign suite, small; and the suite's table from given numbers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from merpo_foreign.suite import family, suite_logs

from merpo.components.context import Context
from merpo.data.dataset import stack_tasks
from merpo.data.normalize import fit_normalization, normalize_tasks
from merpo.evaluation.evaluate import evaluate
from merpo.recipe.extends import merge, read_tables
from merpo.recipe.recipe import from_tables
from merpo.types import Params

ROOT = Path(__file__).resolve().parents[2]
SMALL = {
    "meta_model": {"iterations": 20, "adaptation_steps": 600},
    "behavior": {"steps": 600},
    "meta_policy": {"iterations": 60},
    "adaptation": {"steps": 300, "candidates": 2},
}


def test_the_default_recipe_is_better_than_the_data_and_the_clone() -> None:
    """Six houses to learn from and two new ones; rewards of -1e-3 rather than -1e3."""
    heating = family("heating")
    train, test = suite_logs(heating, "medium", 6, 2)
    spec, normalization = heating.spec(), fit_normalization(train)
    column = spec.observation_dim + spec.action_dim
    tasks = [normalize_tasks(normalization, stack_tasks(part, spec, largest_action=0.99)) for part in (train, test)]
    for data in tasks:
        data.rows[:, column] *= 1e-6
    tables = read_tables(ROOT / "recipes" / "your_data.toml")
    method = from_tables(merge(tables, {"method": SMALL})).method
    meta = method.fit(tasks[0], Context())
    adapted = method.adapt(meta, tasks[1], Context())

    def mean_return(policy: Params) -> float:
        played = [data.task for data in test]
        found = evaluate(heating, played, lambda s: method.act(policy, normalization.apply(s)), 20, 7)
        return float(found.returns.mean())

    logged = sum(float(data.episode_returns().mean()) for data in test) / 2
    ours, clone = mean_return(adapted.policy), mean_return(adapted.references["clone"])
    assert ours > clone + 0.2 * abs(clone)
    assert ours > logged + 0.2 * abs(logged)


def test_the_table_has_the_differences_of_the_runs(tmp_path: Path) -> None:
    references = json.loads((ROOT / "bench" / "results" / "foreign_references.json").read_text("utf-8"))
    modes = references["families"]["heating"]["qualities"]["medium"]["behavior_mode"]
    for seed in (0, 1):
        folder = tmp_path / "runs" / "heating-medium" / f"seed-{seed}"
        folder.mkdir(parents=True)
        tasks = [{"meta_policy": mode + 10.0, "adapted": mode + 30.0 + 10.0 * seed} for mode in modes[seed]]
        times = {"unseen-models": 4.0, "unseen-behavior": 2.0, "adapt": 6.0}
        steps = {"adaptation": {"steps": 50}, "meta_model": {"adaptation_steps": 40}, "behavior": {"steps": 3000}}
        report = {"tasks": tasks, "timings": times, "datasets": [{"sha256": "ab"}], "recipe": {"method": steps}}
        (folder / "report.json").write_text(json.dumps(report))
    line: list[Any] = [sys.executable, ROOT / "bench" / "foreign" / "table.py"]
    line += ["--runs", tmp_path / "runs", "--out", tmp_path / "out"]
    subprocess.run(line, check=True, capture_output=True)
    row = json.loads((tmp_path / "out" / "foreign.json").read_text("utf-8"))["rows"]["heating medium"]
    found = row["differences"]["adapted − the better of them"]
    assert found["mean"] == pytest.approx(25.0)  # 20 and 30 above the meta-policy
    assert (found["low"], found["high"]) == pytest.approx((25.0 - 12.7062 * 5.0, 25.0 + 12.7062 * 5.0))
    assert row["returns"]["seconds"]["mean"] == pytest.approx(3.0)
    assert row["scores"]["behavior_mode"] == pytest.approx(0.0)
    page = (tmp_path / "out" / "foreign.md").read_text("utf-8")
    assert "| heating medium * | 2 |" in page
    assert "All seeds of a row share one data set." in page
    assert "| adapted | 50, after at most 40 of the model and 3,000 of the clone | 3 to 3 |" in page


def test_without_runs_no_table_is_written(tmp_path: Path) -> None:
    line: list[Any] = [sys.executable, ROOT / "bench" / "foreign" / "table.py"]
    line += ["--runs", tmp_path / "none", "--out", tmp_path / "out"]
    assert subprocess.run(line, capture_output=True, check=False).returncode != 0
    assert not (tmp_path / "out").exists()
