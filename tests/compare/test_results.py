"""The table of `merpo compare`: rows of any recipes, and that the page of results is what the command makes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Answer
from placed import moved, place
from reports import with_returns

from merpo.compare.results import Results, networks, read_results, results_of
from merpo.compare.results_page import results_page
from merpo.compare.rows import Row
from merpo.errors import ArtifactError, MerpoError
from merpo.report.report import Report
from merpo.support.statistics.scores import iqm, mean_score

ROOT = Path(__file__).resolve().parents[2]
Merpo = Callable[..., Answer]
SIZES = {"policy_hidden": [64, 64, 64], "rollout_length": 5}
METHOD = {
    "component": "merpo", "rac": SIZES, "dynamics": {"members": 7, "hidden": [64, 32]},
    "meta_model": {"iterations": 1200, "inner_steps": 25, "adaptation_steps": 30}, "adaptation": {"steps": 100},
}  # fmt: skip


def run(folder: Path, title: str, seed: int, shift: float, **changes: Any) -> Path:
    """A finished run of a recipe on six tasks."""
    recipe = {"title": title, "tasks": {"component": "point-robot-wind"}, "method": {**METHOD, "seed": title}}
    report = moved(abs(shift), seed, shift, title, **{"recipe": recipe, **changes})
    return place(folder / title / f"seed-{seed}", report)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Three seeds of a good recipe, three of a bad one on the same data, and one on two tasks of its own."""
    for seed in range(3):
        run(tmp_path / "runs", "good", seed, 0.5)
        run(tmp_path / "runs", "bad", seed, -4.0)
    return tmp_path / "runs"


def two_tasks(report: Report) -> dict[str, Any]:
    """Other data, and a task's parameters that a page can show."""
    tasks = [task.model_copy(update={"params": {"direction": i}}) for i, task in enumerate(report.tasks[:2])]
    datasets = [data.model_copy(update={"sha256": f"{i:x}" * 64}) for i, data in enumerate(report.datasets[:2], 10)]
    return {"tasks": tasks, "datasets": datasets}


def test_widths_of_a_given_policy_are_told_where_the_recipe_sets_them() -> None:
    widths = {"hidden": [256, 256]}
    for source, told in (("random", {"meta policy": "2 × 256"}), ("checkpoint", {}), ("none", {})):
        assert dict(networks({"meta policy": {"source": source, **widths}})) == told


def test_a_row_says_what_its_runs_were(runs: Path) -> None:
    good, bad = sorted(results_of([runs]).rows, key=lambda row: row.name, reverse=True)
    assert (good.name, bad.name, good.seeds, good.tasks) == ("good", "bad", [0, 1, 2], [40, 41, 42, 43, 44, 45])
    assert (good.family, good.quality, good.train_tasks) == ("point-robot-wind", "medium", 0)
    assert good.transitions == [5000] * 6
    assert good.networks == {"policy": "3 × 64", "dynamics": "7 of 64, 32"}
    assert good.steps == {
        "meta_model": "1,200 × 25", "meta_model, unseen tasks": "30", "adaptation": "100",
    }  # fmt: skip
    assert good.seconds == [155.7] * 3
    assert list(good.on_the_way) == [0, 10, 25, 50, 100]
    reports = [moved(0.5, seed, 0.5) for seed in range(3)]
    policies = ("adapted", "behavior", "meta_policy")
    returns, behaviors, metas = ([report.returns(policy) for report in reports] for policy in policies)
    gains = np.asarray(returns) - np.asarray(behaviors)
    assert good.adapted == returns
    covers = ("meta-training", "adaptation")
    assert good.mean_adapted == mean_score(returns, covers)  # type: ignore[arg-type]
    assert good.difference == mean_score(gains, covers)
    assert good.worse == sum(gain < 0 for row in gains for gain in row)
    assert good.difference_to_meta_policy == mean_score(np.asarray(returns) - np.asarray(metas), covers)
    assert type(good).model_validate({**good.model_dump(), "meta_policy": None}).difference_to_meta_policy is None
    assert good.difference_on_new_tasks is not None
    assert good.difference.low is not None
    assert good.difference_on_new_tasks.low < good.difference.low  # tasks differ more than seeds
    after = [task.snapshots[25] for report in reports for task in report.tasks]
    assert good.on_the_way[25] == pytest.approx(np.mean(after), abs=0.005)
    task = good.by_task()[3]
    assert (task.tasks, task.behavior) == ([43], [behaviors[0][3]])
    assert task.difference.mean == pytest.approx(np.mean([row[3] for row in gains]))


def test_clones_have_columns_where_a_run_has_them(runs: Path) -> None:
    assert "clone" not in results_page(results_of([runs]))
    report = moved(0.5, 0, 0.0)
    tasks = [with_returns(task, clone=task.returns["adapted"] - 1.5, clone_drawn=-9.5) for task in report.tasks]
    place(runs / "cloned", report.model_copy(update={"tasks": tasks}))
    (row,) = results_of([runs / "cloned"]).rows
    assert row.difference_to_clone is not None
    assert row.difference_to_clone.mean == pytest.approx(1.5)
    assert row.by_task()[0].clone_drawn == [[-9.5]]
    page = results_page(results_of([runs / "cloned"]))
    assert "| clone | clone, drawn | meta-policy |" in page
    assert "| -9.50 |" in page
    assert "| adapted − clone | adapted − meta-policy |" in page
    assert "| 1.50 |" in page


def test_time_is_that_of_training(runs: Path) -> None:
    timings = {"data": 1000.0, "meta-policy": 3.0, "adapt": 2.0, "evaluate": 100.0, "report": 9.0, "unseen tasks": 7.0}
    run(runs, "timed", 0, 0.0, timings=timings)
    assert results_of([runs / "timed"]).rows[0].seconds == [5.0]


def test_the_page_says_what_intervals_are_for_and_how_policies_acted(runs: Path) -> None:
    first = "Intervals are for new seeds of meta-training and adaptation, all on one data set per recipe."
    assert f"\n{first}\n" in results_page(results_of([runs]))
    recipe = {"title": "drawn", "tasks": {"component": "point-robot-wind"}, "evaluate": {"policy": "stochastic"}}
    for seed in range(2):
        run(runs, "drawn", seed, 0.0, recipe={**recipe, "method": {"component": "single", "model": {"iterations": 5}}})
    page = " ".join(results_page(results_of([runs])).split())
    other = "For drawn: new seeds of training, all on one data set. Measured by drawn actions: drawn."
    assert f"{first} {other}" in page
    assert "Intervals are for" not in results_page(results_of([runs / "good" / "seed-0"]))


def test_seeds_with_training_data_of_their_own_are_counted(runs: Path) -> None:
    for seed in range(2):
        report = moved(0.0, seed, 0.0, "own")
        entry = report.datasets[0].model_copy(update={"split": "train", "sha256": f"{seed:x}" * 64})
        run(runs, "own", seed, 0.0, datasets=[*report.datasets, entry])
    (row,) = results_of([runs / "own"]).rows
    assert (row.data_sets, row.covers) == (2, ("data", "meta-training", "adaptation"))
    assert row.difference.covers == row.covers


def test_spread_over_tasks_and_modes_have_columns(runs: Path) -> None:
    (row,) = results_of([runs / "good"]).rows
    assert row.worst_decile_adapted.mean == pytest.approx(np.mean([min(seed) for seed in row.adapted]))
    assert row.iqm_adapted == iqm(row.adapted, row.covers)
    page = results_page(Results(rows=[row.model_copy(update={"behavior_mode": [[-3.5] * 6] * 3})]))
    assert "| behaviour's mode | meta-policy | adapted | interquartile mean | worst decile |" in page
    assert "| -3.50 [-3.50, -3.50] |" in page
    assert "worst decile" not in results_page(Results(rows=[row.by_task()[0]]))


def test_verdicts_in_a_table_of_pairs_are_corrected(runs: Path) -> None:
    """A difference that is told from chance alone, and not once it is one of three."""
    (row,) = results_of([runs / "good"]).rows
    adapted = ([0.0, 1.0, 2.0], [2.6, 3.6, 4.6], [1.0, 2.0, 3.5])
    rows = [
        row.model_copy(update={"name": str(i), "adapted": [[x] * 6 for x in values]})
        for i, values in enumerate(adapted)
    ]
    alone, several = (results_page(Results(rows=rows[:count])) for count in (2, 3))
    assert "| 2. 1 | **2.60 [" in alone
    assert "| 2. 1 | 2.60 [" in several


def test_the_page_says_what_short_names_stand_for(runs: Path) -> None:
    for i in range(2):
        recipe = {"title": "one", "tasks": {"component": "point-robot-wind"}, "method": {**METHOD, "a": i, "b": -i}}
        place(runs / "one" / str(i), moved(0.0, 0, 0.1 * i, "one", recipe=recipe))
    results = results_of([runs])
    assert [(row.name, row.whole) for row in results.rows if row.whole] == [
        ("one: a=0", "a=0, b=0"), ("one: a=1", "a=1, b=-1"),
    ]  # fmt: skip
    page = results_page(results)
    assert "\n\nNames that are short, and what for:\n\n- one: a=0: a=0, b=0\n- one: a=1: a=1, b=-1\n\n" in page
    assert "Names that are short" not in results_page(results_of([runs / "good"]))


def test_time_is_told_from_the_quickest_seed_to_the_slowest_with_the_processor(runs: Path) -> None:
    for seed, taken in enumerate((10.0, 20.0, None)):
        versions = {"processor": "A fast one"} if seed == 0 else {}
        run(runs, "timed", seed, 0.0, timings={"adapt": taken}, versions=versions)
    results = results_of([runs / "timed"])
    assert results.rows[0].seconds == [10.0, 20.0, None]
    assert results_page(results).rstrip().endswith("| 10 s to 20 s | A fast one |")


def test_only_rows_on_the_same_data_are_compared(runs: Path) -> None:
    other = moved(0.5, 0, 0.5, "other")
    run(runs, "other", 0, 0.5, **two_tasks(other))
    results = results_of([runs])
    (group,) = results.comparable()
    assert sorted(row.name for row in group) == ["bad", "good"]
    page = results_page(results)
    bad, good = (next(row for row in group if row.name == name) for name in ("bad", "good"))
    difference = good.minus(bad).interval
    assert difference.mean == pytest.approx(good.mean_adapted.mean - bad.mean_adapted.mean)
    assert re.search(rf"\| 2\. good \| \*\*{difference.mean:.2f} \[", page)
    assert "| other | 40: direction 0 |" in page
    assert "| other | 41: direction 1 |" in page
    assert re.search(r"\| other \| 0: -\d+\.\d\d, 10: ", page)


def test_rows_of_the_same_name_are_replaced(runs: Path) -> None:
    old, new = results_of([runs]), results_of([runs / "good" / "seed-0"])
    both = old.merged(new)
    assert [row.name for row in both.rows] == [row.name for row in old.rows]
    assert {row.name: row.seeds for row in both.rows} == {"good": [0], "bad": [0, 1, 2]}


def test_the_difference_to_the_behaviours_mode_is_there_where_every_seed_measured_it(runs: Path) -> None:
    (row,) = results_of([runs / "good"]).rows
    assert row.difference_to_behavior_mode is None
    lower = [[value - 2.0 for value in seed] for seed in row.adapted]
    shifted = Row.model_validate({**row.model_dump(), "behavior_mode": lower})
    found = shifted.difference_to_behavior_mode
    assert found is not None
    assert (found.mean, found.low, found.high) == pytest.approx((2.0, 2.0, 2.0))
    assert "| 2.00 [2.00, 2.00] |" in results_page(Results(rows=[shifted]))


def test_rows_of_another_family_or_title_are_kept(runs: Path, tmp_path: Path) -> None:
    good = results_of([runs / "good"])
    (row,) = good.rows
    other = Results(rows=[row.model_copy(update={"family": "sparse-point-robot"})])
    assert [one.family for one in good.merged(other).rows] == ["point-robot-wind", "sparse-point-robot"]
    for title in ("one", "two"):
        for alpha in (0.1, 0.4):
            place(tmp_path / title / str(alpha), moved(alpha, 0, 0.0, title))
    names = [row.name for title in ("one", "two") for row in results_of([tmp_path / title]).rows]
    assert names == [f"{title}: alpha.initial={alpha}" for title in ("one", "two") for alpha in (0.1, 0.4)]


def test_the_json_is_whole_and_nothing_else_is_taken_for_it(runs: Path, tmp_path: Path) -> None:
    results, path = results_of([runs]), tmp_path / "rows.json"
    path.write_text(results.to_json(), "utf-8")
    assert read_results(path).to_json() == results.to_json()
    assert results_page(read_results(path)) == results_page(results)
    assert str(tmp_path) not in path.read_text("utf-8")
    path.write_text('{"rows": [{"name": 1}]}', "utf-8")
    with pytest.raises(ArtifactError, match=r"rows\.0\.name.*merpo compare --json"):
        read_results(path)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("behavior", [0.0] * 7, "behavior has 7 entries, expected 6"),
        ("transitions", [], "transitions has 0 entries, expected 6"),
        ("adapted", [], "adapted has 0 entries, expected 3"),
        ("adapted", [[0.0] * 6, [0.0] * 6, [0.0]], "adapted has a seed with other than 6 entries"),
        ("seeds", [0, 1], "seconds has 3 entries, expected 2"),
        ("seeds", [], "0 seeds and 6 tasks, expected one or more of each"),
        ("meta_policy", [[0.0] * 6], "meta_policy has 1 entries, expected 3"),
        ("meta_policy", [], "meta_policy has 0 entries, expected 3"),
    ],
)
def test_lists_of_other_lengths_are_refused(
    runs: Path, tmp_path: Path, key: str, value: list[Any], reason: str
) -> None:
    table = json.loads(results_of([runs]).to_json())
    table["rows"][1][key] = value
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(table), "utf-8")
    with pytest.raises(ArtifactError, match=rf"rows\.json: rows\.1: .*{reason}"):
        read_results(path)


def test_runs_without_returns_and_seeds_on_other_data_are_refused(runs: Path) -> None:
    report = moved(0.0, 0, 0.0, "logs")
    tasks = [with_returns(task, adapted=None) for task in report.tasks]
    run(runs, "logs", 0, 0.0, tasks=tasks)
    with pytest.raises(MerpoError, match=r"logs.* the adapted policies were not measured"):
        results_of([runs / "logs"])
    datasets = [data.model_copy(update={"sha256": "f" * 64}) for data in report.datasets]
    path = run(runs, "good", 3, 0.5, datasets=datasets)
    with pytest.raises(MerpoError, match=re.escape(f"{path}: was adapted to other data")):
        results_of([runs / "good"])


def test_the_command_writes_merges_and_prints(runs: Path, tmp_path: Path, merpo_cli: Merpo) -> None:
    numbers, page = tmp_path / "rows.json", tmp_path / "results.md"
    for name in ("good", "bad"):
        answer = merpo_cli("compare", str(runs / name), "--json", str(numbers), "--markdown", str(page))
        assert answer.code == 0, answer.err
    assert (answer.out, answer.err) == (f"2 recipes: {page}\n", "")
    assert [row["name"] for row in json.loads(numbers.read_text())["rows"]] == ["good", "bad"]
    assert merpo_cli("compare", "--json", str(numbers)).out == page.read_text("utf-8")
    assert merpo_cli("compare", str(runs / "bad"), "--json", str(numbers)).err == "replaced: bad\n"
    assert not Path("comparison").exists(), "a table alone was asked for"
    answer = merpo_cli("compare", "--markdown", str(page))
    assert (answer.code, "expected one of them" in answer.err) == (2, True)
    answer = merpo_cli("compare", "--json", str(tmp_path / "nothing.json"))
    assert (answer.code, "nothing.json: no such file" in answer.err) == (2, True)


def test_one_call_makes_the_comparison_and_the_table(runs: Path, tmp_path: Path, merpo_cli: Merpo) -> None:
    answer = merpo_cli("compare", str(runs), "--out", str(tmp_path / "out"), "--markdown", "-")
    assert answer.code == 0, answer.err
    assert (tmp_path / "out" / "comparison.html").exists()
    assert results_page(results_of([runs])) in answer.out


def test_the_former_name_of_the_table_still_makes_it(runs: Path, tmp_path: Path, merpo_cli: Merpo) -> None:
    numbers, page = tmp_path / "rows.json", tmp_path / "results.md"
    answer = merpo_cli("table", str(runs), "--json", str(numbers), "--out", str(page))
    assert (answer.code, answer.out) == (0, f"2 recipes: {page}\n")
    assert "merpo table is now: merpo compare" in answer.err
    assert merpo_cli("table", str(runs)).out == page.read_text("utf-8") == results_page(read_results(numbers))
    assert not re.search(r"^\W*table\b", merpo_cli("--help").out, re.MULTILINE)


def test_hostile_names_stay_cells(runs: Path) -> None:
    run(runs, "a|b <script>", 0, 0.0)
    page = results_page(results_of([runs]))
    assert "a\\|b &lt;script>" in page
    assert "<script>" not in page


def test_an_empty_table_is_a_page() -> None:
    assert results_page(Results(rows=[])).startswith("# Results\n")


def test_the_page_of_results_is_what_the_command_makes_of_its_numbers() -> None:
    path = ROOT / "bench" / "results" / "suites.json"
    results = read_results(path)
    assert results.rows
    assert results.to_json() == path.read_text("utf-8"), "the aggregates are those of the returns"
    assert (ROOT / "docs" / "results.md").read_text("utf-8") == results_page(results)


def test_what_is_said_of_section_5_1_is_what_was_measured() -> None:
    """Every number with an interval that the page on single tasks gives stands on the page of results."""
    text = (ROOT / "docs" / "single_task.md").read_text("utf-8").replace("−", "-")
    given = re.findall(r"-?\d+\.\d\d \[-?\d+\.\d\d, -?\d+\.\d\d\]", text)
    results = (ROOT / "docs" / "results.md").read_text("utf-8")
    assert given
    assert [one for one in given if one not in results] == []
